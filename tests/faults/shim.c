/* LD_PRELOAD library for tests: the k-th file operation below a folder fails, or the process dies there.
 *   SHIM_UNDER=DIR   absolute; only files below it count
 *   SHIM_MATCH=A|B   ... whose path contains one of these texts
 *   SHIM_AT=K        from 1; 0 or absent: only count
 *   SHIM_DO=kill     SIGKILL before the operation
 *           torn     a write puts down what lies before a page boundary inside it, then SIGKILL
 *           ENOSPC, EIO, EDQUOT, EROFS   a write puts down half of its bytes; the next operations fail
 *   SHIM_TIMES=N     how many fail (default 1; 0: all from there on)
 *   SHIM_SYNC=off    fsync does nothing, to be quick
 *   SHIM_TRACE=FILE  a line for each operation: number, name, bytes, bytes before a page boundary, path [, new path];
 *                    "done" and the same for a rename that took place
 * Of several MPI ranks only rank 0 is concerned. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
  const char *under, *match, *act;
  long at, times;
  int error, quick, trace;
} plan = {.trace = -1};
static atomic_long count;

static long number_of(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text == NULL ? otherwise : atol(text);
}

__attribute__((constructor)) static void read_plan(void) {
  static const struct { const char *name; int error; } errors[] = {
      {"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS}};
  if (number_of("OMPI_COMM_WORLD_RANK", 0) != 0) return;
  plan.match = getenv("SHIM_MATCH"), plan.act = getenv("SHIM_DO"), plan.at = number_of("SHIM_AT", 0);
  plan.times = number_of("SHIM_TIMES", 1), plan.quick = getenv("SHIM_SYNC") != NULL;
  for (size_t i = 0; plan.act != NULL && i < sizeof errors / sizeof *errors; ++i)
    if (strcmp(plan.act, errors[i].name) == 0) plan.error = errors[i].error;
  const char *trace = getenv("SHIM_TRACE");
  if (trace != NULL)
    plan.trace = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  plan.under = getenv("SHIM_UNDER"); /* last: from here on operations count */
}

static int concerned(const char *path) {
  if (plan.under == NULL || strncmp(path, plan.under, strlen(plan.under)) != 0) return 0;
  if (plan.match == NULL) return 1;
  char texts[256];
  snprintf(texts, sizeof texts, "%s", plan.match);
  char *rest = texts;
  for (char *text = strsep(&rest, "|"); text != NULL; text = strsep(&rest, "|"))
    if (strstr(path + strlen(plan.under), text) != NULL) return 1;
  return 0;
}

static const char *path_of(int directory, const char *name, char *out) {
  if (name != NULL && name[0] == '/') return name;
  char link[64], folder[4096];
  ssize_t n = -1;
  snprintf(link, sizeof link, directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", directory);
  if ((n = readlink(link, folder, sizeof folder - 1)) < 0) n = 0;
  folder[n] = 0;
  snprintf(out, 8192, name == NULL ? "%s" : "%s/%s", folder, name);
  return out;
}

static void say(const char *what, long k, const char *name, size_t bytes, size_t before, const char *path, const char *to) {
  if (plan.trace < 0) return;
  char line[17000];
  const int n = snprintf(line, sizeof line, "%s%ld %s %zu %zu %s %s\n", what, k, name, bytes, before, path, to);
  syscall(SYS_write, plan.trace, line, (size_t)n);
}

__attribute__((noreturn)) static void die(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

/* What becomes of one operation. */
enum fate { GO, FAIL, HALF, TEAR };
static enum fate next(const char *name, const char *path, const char *to, size_t bytes, size_t before) {
  const int saved = errno;
  const long k = atomic_fetch_add(&count, 1) + 1;
  say("", k, name, bytes, before, path, to);
  errno = saved;
  if (plan.at == 0 || k < plan.at) return GO;
  if (plan.error != 0) {
    if (plan.times > 0 && k > plan.at + plan.times) return GO;
    if (k == plan.at && bytes > 1) return HALF;
    errno = plan.error;
    return FAIL;
  }
  if (k > plan.at) return GO;
  if (strcmp(plan.act, "torn") == 0 && before > 0) return TEAR;
  die();
}

/* Bytes of a write at `offset` that lie before the page boundary nearest to its middle; 0: none inside. */
static size_t before_boundary(off_t offset, size_t bytes) {
  const off_t boundary = (offset + (off_t)(bytes / 2) + 2048) / 4096 * 4096;
  return boundary > offset && boundary < offset + (off_t)bytes ? (size_t)(boundary - offset) : 0;
}

#define REAL(name, ...) static __typeof__(name) *real; if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);

ssize_t write(int fd, const void *data, size_t n) {
  REAL(write)
  char buffer[8192];
  if (plan.under == NULL || !concerned(path_of(fd, NULL, buffer))) return real(fd, data, n);
  const size_t before = before_boundary(lseek(fd, 0, SEEK_CUR), n);
  switch (next("write", buffer, "", n, before)) {
    case FAIL: return -1;
    case HALF: return real(fd, data, n / 2);
    case TEAR: (void)!real(fd, data, before); die();
    default: return real(fd, data, n);
  }
}

static ssize_t put_at(ssize_t (*real)(int, const void *, size_t, off_t), int fd, const void *data, size_t n, off_t at) {
  char buffer[8192];
  if (plan.under == NULL || !concerned(path_of(fd, NULL, buffer))) return real(fd, data, n, at);
  const size_t before = before_boundary(at, n);
  switch (next("pwrite", buffer, "", n, before)) {
    case FAIL: return -1;
    case HALF: return real(fd, data, n / 2, at);
    case TEAR: (void)!real(fd, data, before, at); die();
    default: return real(fd, data, n, at);
  }
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { REAL(pwrite) return put_at(real, fd, data, n, at); }
ssize_t pwrite64(int fd, const void *data, size_t n, off_t at) { REAL(pwrite64) return put_at(real, fd, data, n, at); }

ssize_t sendfile(int out, int in, off_t *offset, size_t n);
ssize_t sendfile(int out, int in, off_t *offset, size_t n) {
  REAL(sendfile)
  char buffer[8192];
  if (plan.under == NULL || !concerned(path_of(out, NULL, buffer))) return real(out, in, offset, n);
  const size_t before = before_boundary(lseek(out, 0, SEEK_CUR), n);
  switch (next("sendfile", buffer, "", n, before)) {
    case FAIL: return -1;
    case HALF: return real(out, in, offset, n / 2);
    case TEAR: (void)!real(out, in, offset, before); die();
    default: return real(out, in, offset, n);
  }
}

static int fails_fd(const char *name, int fd) {
  char buffer[8192];
  return plan.under != NULL && concerned(path_of(fd, NULL, buffer)) && next(name, buffer, "", 0, 0) == FAIL;
}
static int fails(const char *name, int directory, const char *path) {
  char buffer[8192];
  const int removes = strncmp(name, "unlink", 6) == 0 || strcmp(name, "rmdir") == 0 || strcmp(name, "remove") == 0;
  if (removes && (plan.error == ENOSPC || plan.error == EDQUOT)) return 0; /* a full disk lets things be removed */
  if (plan.under == NULL || path == NULL) return 0;
  path = path_of(directory, path, buffer);
  return concerned(path) && next(name, path, "", 0, 0) == FAIL;
}

int fsync(int fd) { REAL(fsync) return fails_fd("fsync", fd) ? -1 : plan.quick ? 0 : real(fd); }
int fdatasync(int fd) { REAL(fdatasync) return fails_fd("fdatasync", fd) ? -1 : plan.quick ? 0 : real(fd); }
int ftruncate(int fd, off_t n) { REAL(ftruncate) return fails_fd("ftruncate", fd) ? -1 : real(fd, n); }
int ftruncate64(int fd, off_t n) { REAL(ftruncate64) return fails_fd("ftruncate", fd) ? -1 : real(fd, n); }
int fallocate(int fd, int mode, off_t at, off_t n) { REAL(fallocate) return fails_fd("fallocate", fd) ? -1 : real(fd, mode, at, n); }
int fallocate64(int fd, int mode, off_t at, off_t n) { REAL(fallocate64) return fails_fd("fallocate", fd) ? -1 : real(fd, mode, at, n); }
int unlink(const char *path) { REAL(unlink) return fails("unlink", AT_FDCWD, path) ? -1 : real(path); }
int unlinkat(int d, const char *path, int flags) { REAL(unlinkat) return fails("unlinkat", d, path) ? -1 : real(d, path, flags); }
int remove(const char *path) { REAL(remove) return fails("remove", AT_FDCWD, path) ? -1 : real(path); }
int rmdir(const char *path) { REAL(rmdir) return fails("rmdir", AT_FDCWD, path) ? -1 : real(path); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir) return fails("mkdir", AT_FDCWD, path) ? -1 : real(path, mode); }
int link(const char *from, const char *to) { REAL(link) return fails("link", AT_FDCWD, to) ? -1 : real(from, to); }

static int moved(int status, const char *name, const char *from, const char *to) {
  char a[8192], b[8192];
  from = path_of(AT_FDCWD, from, a), to = path_of(AT_FDCWD, to, b);
  if (status == 0 && plan.under != NULL && concerned(to)) say("done ", atomic_load(&count), name, 0, 0, from, to);
  return status;
}
int rename(const char *from, const char *to) {
  REAL(rename)
  return fails("rename", AT_FDCWD, to) ? -1 : moved(real(from, to), "rename", from, to);
}
int renameat2(int d, const char *from, int e, const char *to, unsigned flags) {
  REAL(renameat2)
  return fails("renameat2", e, to) ? -1 : moved(real(d, from, e, to, flags), "renameat2", from, to);
}

#define OPEN(name, directory, parameters, arguments)                                              \
  int name parameters {                                                                           \
    REAL(name)                                                                                    \
    mode_t mode = 0;                                                                              \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                   \
      va_list more;                                                                               \
      va_start(more, flags);                                                                      \
      mode = va_arg(more, mode_t);                                                                \
      va_end(more);                                                                               \
    }                                                                                             \
    if ((flags & (O_WRONLY | O_RDWR)) != 0 && fails("open", directory, path)) return -1;          \
    return real arguments;                                                                        \
  }
OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, d, (int d, const char *path, int flags, ...), (d, path, flags, mode))
OPEN(openat64, d, (int d, const char *path, int flags, ...), (d, path, flags, mode))

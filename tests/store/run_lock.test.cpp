#include "store/run_lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "store/folder.hpp"

namespace weightscope {

TEST(RunLock, RefusesASecondHolderAndNamesTheFirst) {
  const Folder folder;
  const auto run = folder / "runs/a";
  const auto first = RunLock::acquire(run);
  expect_error(Fault::busy, "process " + std::to_string(::getpid()), [&] { RunLock::acquire(run); });
  expect_error(Fault::busy, run.string(), [&] { RunLock::acquire(run); });
}

TEST(RunLock, IsFreeAgainAfterItsHolderIsGone) {
  const Folder folder;
  { const auto held = RunLock::acquire(folder.path()); }
  auto first = RunLock::acquire(folder.path());
  const auto moved = std::move(first);
  EXPECT_THROW(RunLock::acquire(folder.path()), Error) << "a moved lock is still held";
}

TEST(RunLock, IsFreedByTheDeathOfItsProcess) {
  const Folder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = RunLock::acquire(folder.path());
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  expect_error(Fault::busy, "process " + std::to_string(child), [&] { RunLock::acquire(folder.path()); });
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_NO_THROW(RunLock::acquire(folder.path()));
  ::close(ready[0]), ::close(ready[1]);
}

TEST(RunLock, ReportsADirectoryThatCannotBeMade) {
  const Folder folder;
  put(folder / "file", "x");
  expect_error(Fault::output, "file", [&] { RunLock::acquire(folder / "file/run"); });
}

}  // namespace weightscope

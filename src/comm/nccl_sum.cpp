// Sums in a fixed order on GPUs: PieceSum with NCCL's sends and kernels of our own.
#include "comm/device_sum.hpp"
#include "comm/nccl_impl.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 24;  // elements whose pieces are held at a time

void check(int status, const char* kernel) { check_cuda(static_cast<cudaError_t>(status), kernel); }

}  // namespace

void NcclBackend::Impl::sum_pieces(float* x, const Pieces& pieces, Wire wire, bool share, const Buffer& b) {
  const auto ranks = static_cast<std::size_t>(host->size()), me = static_cast<std::size_t>(host->rank());
  const bool half = wire == Wire::bf16;
  const auto type = half ? ncclBfloat16 : ncclFloat32;
  const std::size_t bytes = half ? 2 : 4, mine = pieces.counts[me];
  auto* const received = theirs.of(std::max<std::size_t>(1, ranks * mine * bytes));
  std::vector<std::byte*> parts;  // what goes to each rank, and later what it shares
  std::size_t total = 0;
  for (const auto count : pieces.counts) total += count;
  std::byte* packed = half ? out.of(total * bytes) : nullptr;
  for (std::size_t r = 0; r < ranks; ++r) {
    parts.push_back(half ? packed : reinterpret_cast<std::byte*>(x + pieces.starts[r]));
    if (half) packed += pieces.counts[r] * bytes;
  }
  const auto narrow = [&](std::size_t r) {
    check(narrow_on_device(x + pieces.starts[r], parts[r], pieces.counts[r], stream), "narrow");
  };
  run("exchange of pieces", b, total, [&](std::size_t, std::size_t) {
    for (std::size_t r = 0; half && r < ranks; ++r) narrow(r);
    ncclGroupStart();
    for (std::size_t r = 0; r < ranks; ++r) {
      const int peer = static_cast<int>(r);
      if (pieces.counts[r] > 0) ncclSend(parts[r], pieces.counts[r], type, peer, comm, stream);
      if (mine > 0) ncclRecv(received + r * mine * bytes, mine, type, peer, comm, stream);
    }
    return ncclGroupEnd();
  });
  check(add_on_device(received, half, ranks, mine, x + pieces.starts[me], stream), "add");
  if (!share) return;
  if (half) narrow(me);
  run("sharing of sums", b, total, [&](std::size_t, std::size_t) {
    ncclGroupStart();
    for (std::size_t r = 0; r < ranks; ++r)
      if (pieces.counts[r] > 0)
        ncclBroadcast(parts[r], parts[r], pieces.counts[r], type, static_cast<int>(r), comm, stream);
    return ncclGroupEnd();
  });
  for (std::size_t r = 0; half && r < ranks; ++r)
    check(widen_on_device(parts[r], x + pieces.starts[r], pieces.counts[r], stream), "widen");
}

void NcclBackend::all_reduce_sum_tree(Buffer b, Wire wire) {
  require(b.dtype == DType::f32, Fault::internal, "sums in a fixed order are of float32");
  auto* x = static_cast<float*>(b.data);
  for (std::size_t from = 0; from < b.count; from += kChunk)
    impl_->sum_pieces(x + from, Pieces::of(std::min(kChunk, b.count - from), impl_->host->size()), wire, true,
                      b);
}

void NcclBackend::reduce_scatter_sum_tree(Buffer whole, Buffer mine, Wire wire) {
  require(whole.dtype == DType::f32, Fault::internal, "sums in a fixed order are of float32");
  const auto ranks = static_cast<std::size_t>(impl_->host->size()), part = kChunk / ranks + 1;
  for (std::size_t from = 0; from < mine.count; from += part)
    impl_->sum_pieces(static_cast<float*>(whole.data), Pieces::of_shards(ranks, mine.count, from, part), wire,
                      false, whole);
}

}  // namespace weightscope

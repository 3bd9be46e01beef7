#pragma once
// Private to train/*.cpp.
#include <cstdint>
#include <exception>
#include <string>

#include "core/error.hpp"

namespace weightscope {

/// Records what f starts into `graph`: how many collectives of `exchange` there are in it. Whatever fails,
/// nothing is left under recording: neither the stream, which could not be waited for, nor the exchange,
/// which watches nothing meanwhile. Throws Error{internal} then. Graph and Exchange: DeviceGraph,
/// GradientExchange.
template <class Graph, class Exchange, class F>
std::int64_t record(Graph& graph, Exchange& exchange, F&& f) {
  exchange.begin_recording();
  try {
    graph.begin();
    f();
    graph.end();
  } catch (const std::exception& error) {
    graph.abandon();
    exchange.end_recording();
    throw Error(Fault::internal, std::string("a part of the step could not be recorded as a CUDA graph (") +
                                     error.what() + ") train.cuda_graphs: off does without");
  }
  return exchange.end_recording();
}

}  // namespace weightscope

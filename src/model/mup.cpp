#include "model/mup.hpp"

#include <cmath>

namespace weightscope {

double mup_base_ratio(const ModelConfig& m) {
  return m.mup_base_width > 0 ? static_cast<double>(m.mup_base_width) / m.width : 1.0;
}

double mup_lr_scale(const ModelConfig& m, ParameterKind kind) {
  const bool hidden = kind == ParameterKind::linear || kind == ParameterKind::residual_projection;
  return hidden ? mup_base_ratio(m) : 1.0;
}

double mup_logit_scale(const ModelConfig& m) { return mup_base_ratio(m); }

double mup_attention_scale(const ModelConfig& m) {
  if (m.mup_base_width == 0 || m.mup_base_head_width == 0) return 1.0;
  return std::sqrt(static_cast<double>(m.mup_base_head_width) * m.heads / m.width);
}

}  // namespace weightscope

// The size of attention's scratch, the same for every ISA.
#include "kernels/generic/attention_layout.h"

namespace miao::kernels {

int64_t attention_scratch(KvType kv, int64_t head_dim, int64_t group) {
  return attention_layout(kv, head_dim, group).floats * static_cast<int64_t>(sizeof(float));
}

}  // namespace miao::kernels

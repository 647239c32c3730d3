// The hyper-parameters that families share: their names in GGUF files, behind the architecture, and in Hugging Face
// configurations. They are read by these names, and written by them too (convert/keys.cpp).
#pragma once

#include "models/source.h"

namespace miao::models {

inline constexpr Key kLayers{"block_count", "num_hidden_layers"};
inline constexpr Key kDim{"embedding_length", "hidden_size"};
inline constexpr Key kFfnDim{"feed_forward_length", "intermediate_size"};
inline constexpr Key kHeads{"attention.head_count", "num_attention_heads"};
inline constexpr Key kKvHeads{"attention.head_count_kv", "num_key_value_heads"};
inline constexpr Key kHeadDim{"attention.key_length", "head_dim"};
inline constexpr Key kValueDim{"attention.value_length", nullptr};
inline constexpr Key kCtx{"context_length", "max_position_embeddings"};
inline constexpr Key kVocab{"vocab_size", "vocab_size"};
inline constexpr Key kRmsNormEps{"attention.layer_norm_rms_epsilon", "rms_norm_eps"};
inline constexpr Key kLayerNormEps{"attention.layer_norm_epsilon", "layer_norm_eps"};
inline constexpr Key kWindow{"attention.sliding_window", "sliding_window"};
inline constexpr Key kScoreCap{"attn_logit_softcapping", "attn_logit_softcapping"};
inline constexpr Key kLogitCap{"final_logit_softcapping", "final_logit_softcapping"};
inline constexpr Key kParallel{"use_parallel_residual", "use_parallel_residual"};
inline constexpr Key kExperts{"expert_count", "num_local_experts"};
inline constexpr Key kExpertsUsed{"expert_used_count", "num_experts_per_tok"};
inline constexpr Key kExpertDim{"expert_feed_forward_length", "moe_intermediate_size"};
inline constexpr Key kDecoderLayers{"decoder_block_count", "num_decoder_layers"};
inline constexpr Key kDistanceBuckets{"attention.relative_buckets_count", "relative_attention_num_buckets"};
// Of architectures whose GGUF files have the keys of each side under its name.
struct SideKeyNames {
  const char *ctx, *dim, *layers, *ffn_dim, *heads;
};
inline constexpr SideKeyNames kEncoderKeys{"encoder.context_length", "encoder.embedding_length", "encoder.block_count",
                                           "encoder.feed_forward_length", "encoder.attention.head_count"};
inline constexpr SideKeyNames kDecoderKeys{"decoder.context_length", "decoder.embedding_length", "decoder.block_count",
                                           "decoder.feed_forward_length", "decoder.attention.head_count"};
inline constexpr Key kTypes{nullptr, "type_vocab_size"};
inline constexpr Key kSuppressed{"suppress_tokens", "suppress_tokens"};
inline constexpr Key kSuppressedFirst{"begin_suppress_tokens", "begin_suppress_tokens"};
inline constexpr Key kLabels{"classifier.output_labels", nullptr};

// Of the rotation. Hugging Face files nest them in ways of their own; see rope_read.cpp.
inline constexpr Key kRotaryDim{"rope.dimension_count", nullptr};
inline constexpr Key kTheta{"rope.freq_base", nullptr};
inline constexpr Key kLocalTheta{"rope.freq_base_swa", "rope_local_base_freq"};
inline constexpr Key kScaling{"rope.scaling.type", nullptr};
inline constexpr Key kScalingFactor{"rope.scaling.factor", nullptr};
inline constexpr Key kOriginalCtx{"rope.scaling.original_context_length", nullptr};
inline constexpr Key kAttentionFactor{"rope.scaling.attn_factor", nullptr};
inline constexpr Key kYarnFast{"rope.scaling.yarn_beta_fast", nullptr};
inline constexpr Key kYarnSlow{"rope.scaling.yarn_beta_slow", nullptr};
inline constexpr Key kYarnLogMultiplier{"rope.scaling.yarn_log_multiplier", nullptr};
inline constexpr Key kYarnAttention{"rope.scaling.yarn_attn_factor", nullptr};
inline constexpr const char* kFrequencyFactors = "rope_freqs.weight";
inline constexpr const char* kLongFactors = "rope_factors_long.weight";
inline constexpr const char* kShortFactors = "rope_factors_short.weight";

}  // namespace miao::models

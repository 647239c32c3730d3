#include "cli/plan/text.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cli/terminal.h"

namespace miao::cli {

namespace {

using compress::Plan;
using compress::PlanMemory;
using compress::PlanRow;
using measure::ForecastCase;
using Shape = models::ModelSpec::Shape;

constexpr int kSchema = 1;

std::string bytes_text(int64_t bytes) { return human_bytes(static_cast<uint64_t>(bytes)); }
const char* shape_name(Shape shape) {
  return shape == Shape::decoder ? "decoder" : shape == Shape::encoder ? "encoder" : "encoder-decoder";
}

std::string rate_text(double rate) { return rate >= 100 ? fmt::format("{:.0f}", rate) : fmt::format("{:.3g}", rate); }

double speed_of(const PlanRow& row, const ForecastCase& use, Shape shape) {
  if (!row.speed) return 0;
  return shape == Shape::encoder ? prefill_rate(*row.speed, use) : decode_rate(*row.speed, use);
}

std::string plural(int64_t n, const char* one, const char* many) {
  return fmt::format("{} {}", grouped(static_cast<uint64_t>(n)), n == 1 ? one : many);
}

class Text {
 public:
  Text(const Plan& plan, const std::string& model) : p_(plan), model_(model), use_(plan.use) {}

  std::string str() {
    head();
    memory();
    verdict();
    speed();
    table();
    return std::move(out_);
  }

 private:
  void field(std::string_view label, const std::string& value) {
    if (!value.empty()) out_ += style_.dim(fmt::format("{:<14}", label)) + value + "\n";
  }
  void part(std::string_view label, int64_t bytes, const std::string& what) {
    if (bytes > 0) field("", fmt::format("{:>10}  {}{}{}", bytes_text(bytes), label, what.empty() ? "" : ": ", what));
  }

  void head() {
    field("Model", printable(model_) + (p_.name.empty() ? "" : " (" + printable(p_.name) + ")"));
    field("Architecture",
          fmt::format("{}, {}: {} layers of width {}, vocabulary {}, context {}", printable(p_.architecture),
                      shape_name(p_.shape), p_.layers, grouped(p_.width), grouped(p_.vocab), grouped(p_.model_ctx)));
    field("Parameters", human_count(static_cast<uint64_t>(p_.parameters)));
    std::string types;
    for (const compress::TypeBytes& t : p_.types)
      types += fmt::format("{}{} {}", types.empty() ? "" : ", ", t.type, human_bytes(t.bytes));
    field(p_.model.type.empty() ? "Weights" : "As " + p_.model.type,
          fmt::format("{}, {:.2f} bits a parameter ({})", human_bytes(p_.model.bytes), p_.model.bits, types));
  }

  void memory() {
    const PlanMemory& m = p_.model.memory;
    field("Memory", fmt::format("{} at the peak", bytes_text(m.peak())));
    part("packed weights", m.weights, "");
    part("embedding", m.embedding, "pages of the file");
    std::string kv = fmt::format("{} of {} positions, {} each", plural(use_.users, "text", "texts"),
                                 grouped(static_cast<uint64_t>(p_.ctx)), bytes_text(p_.kv_per_token));
    if (p_.input_ctx > 0) kv += fmt::format(", and inputs of {}", grouped(static_cast<uint64_t>(p_.input_ctx)));
    part("keys and values in " + p_.kv, m.kv, kv);
    part("buffers", m.buffers, "");
    part("program", m.program, "with its tokenizer");
  }

  void verdict() {
    const std::string free = human_bytes(p_.free);
    const std::string of = p_.total > 0 ? fmt::format(" of {}", human_bytes(p_.total)) : "";
    field("Free", free + of);
    std::string text = p_.model.fits ? "fits" : "does not fit";
    if (p_.most_users) {
      text += *p_.most_users == 0
                  ? fmt::format("; no text of {} positions would", grouped(static_cast<uint64_t>(p_.ctx)))
                  : fmt::format("; {} of {} positions would", plural(*p_.most_users, "text", "texts"),
                                grouped(static_cast<uint64_t>(p_.ctx)));
      if (*p_.most_ctx > 0) {
        text += fmt::format(", or {} of {}", plural(use_.users, "text", "texts"),
                            grouped(static_cast<uint64_t>(*p_.most_ctx)));
      }
    }
    field("Verdict", p_.model.fits ? style_.bold(text) : style_.red(text));
  }

  void speed() {
    if (!p_.model.speed) {
      if (!p_.model.problem.empty()) field("Speed", "not measured: " + printable(p_.model.problem));
      return;
    }
    const measure::Forecast& f = *p_.model.speed;
    const std::string where = fmt::format("{}, {}", plural(p_.threads, "thread", "threads"), p_.isa);
    const std::string measured =
        f.blocks < p_.layers ? fmt::format("{} of {} blocks measured", f.blocks, p_.layers) : "all blocks measured";
    if (p_.shape == Shape::encoder) {
      field("Speed", fmt::format("{} inputs/s of {} tokens, {} together ({} tokens/s; {}; {})",
                                 rate_text(static_cast<double>(use_.users) / f.prefill_seconds), use_.prompt,
                                 use_.users, rate_text(prefill_rate(f, use_)), where, measured));
      return;
    }
    field("Prefill", fmt::format("{} tokens/s, first token after {:.3g} s ({})", rate_text(prefill_rate(f, use_)),
                                 f.prefill_seconds, where));
    field("Decode", fmt::format("{} tokens/s behind {} positions ({})", rate_text(decode_rate(f, use_)),
                                grouped(static_cast<uint64_t>(use_.prompt + use_.gen / 2)), measured));
  }

  void table() {
    if (p_.others.empty()) return;
    const bool encoder = p_.shape == Shape::encoder;
    bool any_speed = false;
    for (const PlanRow& row : p_.others) any_speed |= row.speed.has_value();
    std::vector<Table::Column> columns = {{"TYPE"}, {"FILE", true}, {"BITS", true}, {"MEMORY", true}};
    if (any_speed) columns.push_back({encoder ? "TOKENS/S" : "DECODE/S", true});
    columns.push_back({"FITS"});
    Table table(columns);
    std::string why;
    for (const PlanRow& row : p_.others) {
      if (row.bytes == 0) {
        why = row.problem;
        continue;
      }
      std::vector<std::string> cells = {row.type, human_bytes(row.bytes), fmt::format("{:.2f}", row.bits),
                                        bytes_text(row.memory.peak())};
      if (any_speed) cells.push_back(row.speed ? rate_text(speed_of(row, use_, p_.shape)) : "-");
      cells.emplace_back(row.fits ? "yes" : "no");
      table.add(cells);
    }
    if (!why.empty()) {
      out_ += "\nNo other types: " + printable(why) + "\n";
      return;
    }
    out_ += "\n" + table.str();
    if (p_.quantised) {
      out_ += "\nThis file is quantised already: make other types from the model of full precision.\n";
    }
  }

  const Plan& p_;
  const std::string& model_;
  const ForecastCase& use_;
  const Style style_{STDOUT_FILENO};
  std::string out_;
};

Json row_json(const PlanRow& row, const ForecastCase& use, Shape shape) {
  const PlanMemory& m = row.memory;
  Json out = {{"type", row.type.empty() ? Json() : Json(row.type)}, {"bytes", row.bytes}};
  if (row.bytes > 0) {
    out["bits_per_parameter"] = row.bits;
    out["memory"] = {{"peak", m.peak()}, {"weights", m.weights}, {"embedding", m.embedding}, {"buffers", m.buffers},
                     {"kv", m.kv},       {"program", m.program}, {"loading", m.loading}};
    out["fits"] = row.fits;
  }
  if (row.speed) {
    const auto rate = [](double value) { return value > 0 ? Json(value) : Json(); };
    out["speed"] = {{"prefill_tok_s", rate(prefill_rate(*row.speed, use))},
                    {"decode_tok_s", rate(decode_rate(*row.speed, use))},
                    {"prefill_seconds", rate(row.speed->prefill_seconds)},
                    {"step_seconds", rate(row.speed->step_seconds)},
                    {"blocks_measured", row.speed->blocks}};
    if (shape == Shape::encoder) out["speed"]["inputs_s"] = static_cast<double>(use.users) / row.speed->prefill_seconds;
  } else {
    out["speed"] = Json();
  }
  if (!row.problem.empty()) out["problem"] = row.problem;
  return out;
}

}  // namespace

std::string plan_text(const Plan& plan, const std::string& model) { return Text(plan, model).str(); }

Json plan_json(const Plan& plan, const std::string& model) {
  Json types = Json::array(), others = Json::array();
  for (const compress::TypeBytes& t : plan.types) {
    types.push_back({{"type", t.type}, {"tensors", t.tensors}, {"parameters", t.parameters}, {"bytes", t.bytes}});
  }
  for (const PlanRow& row : plan.others) others.push_back(row_json(row, plan.use, plan.shape));
  const auto optional = [](const std::optional<int64_t>& n) { return n ? Json(*n) : Json(); };
  return {{"schema", kSchema},
          {"source", model},
          {"name", plan.name},
          {"architecture", plan.architecture},
          {"shape", shape_name(plan.shape)},
          {"parameters", plan.parameters},
          {"layers", plan.layers},
          {"width", plan.width},
          {"vocab", plan.vocab},
          {"context", plan.model_ctx},
          {"types", std::move(types)},
          {"quantised", plan.quantised},
          {"use", {{"ctx", plan.ctx}, {"users", plan.use.users}, {"prompt", plan.use.prompt}, {"gen", plan.use.gen}}},
          {"kv", {{"type", plan.kv.empty() ? Json() : Json(plan.kv)}, {"bytes_per_token", plan.kv_per_token}}},
          {"machine",
           {{"threads", plan.threads}, {"isa", plan.isa}, {"memory_free", plan.free}, {"memory_total", plan.total}}},
          {"most_users", optional(plan.most_users)},
          {"most_ctx", optional(plan.most_ctx)},
          {"model", row_json(plan.model, plan.use, plan.shape)},
          {"others", std::move(others)}};
}

}  // namespace miao::cli

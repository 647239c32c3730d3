#include "compress/report/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "compress/quantize.h"
#include "measure/chart.h"

namespace miao::compress {

using measure::number;

namespace {

std::string mb(double bytes) { return fmt::format("{:.1f} MB", bytes / 1e6); }
std::string ms(double seconds) { return measure::short_number(1e3 * seconds) + " ms"; }
std::string quotient(double share) { return fmt::format("{:.2f}", share); }

measure::Cell with_interval(const measure::Metric& m) {
  return number(measure::shown(m, m.value),
                m.ci ? measure::shown(m, m.ci->low) + " to " + measure::shown(m, m.ci->high) : "");
}

// The unit of a budget, which may not be that of a metric with a value of its own.
std::string in_unit(const measure::Budget& b, double value) {
  return measure::shown({.form = b.percent ? measure::Metric::Form::percent : measure::Metric::Form::number}, value);
}

std::optional<double> size_limit(const CompressReport& r) {
  std::optional<double> out = r.budgets.size;
  if (r.budgets.size_share) {
    const double share = *r.budgets.size_share * static_cast<double>(r.base_bytes);
    out = std::min(out.value_or(share), share);
  }
  return out;
}

}  // namespace

const Candidate* chosen_of(const CompressReport& r) {
  const auto at = static_cast<size_t>(r.chosen);
  return r.chosen >= 0 && at < r.candidates.size() ? &r.candidates[at] : nullptr;
}

const measure::Metric* loss_metric(const CompressReport& r, const Candidate& c) {
  return c.quality ? c.quality->find(r.wording.metric) : nullptr;
}

double loss_of(const CompressReport& r, const Candidate& c) {
  const measure::Metric* const m = loss_metric(r, c);
  return m ? m->value : 0;
}

double seconds_of(const Candidate& c, const Request& request) { return c.speeds ? c.speeds->own.request(request) : 0; }

bool is_control(const Reference& r) { return r.name.find(' ') != std::string::npos; }

std::string in_words(const Request& request, const Wording& wording) {
  if (!wording.encoder) {
    return fmt::format("{} tokens read and {} written{}", request.prompt, request.gen,
                       request.batch > 1 ? fmt::format(", {} side by side", request.batch) : "");
  }
  const auto [least, most] = std::ranges::minmax(request.lengths);
  return fmt::format("{} text{} of {}{} tokens{}", request.batch, request.batch == 1 ? "" : "s", request.prompt,
                     least == most ? "" : fmt::format(" ({} to {})", least, most),
                     request.batch == 1 ? "" : " together");
}

std::string title_of(const CompressReport& r) {
  const std::filesystem::path path(r.model);
  const std::string name = path.filename().string();
  return name.empty() || name == "model.gguf" ? r.model : name;
}

std::string headline(const CompressReport& r) {
  if (!chosen_of(r)) return "No model was built";
  return r.kept ? "All budgets are kept" : "Not all budgets are kept";
}

std::string verdict(const CompressReport& r) {
  const Candidate* const c = chosen_of(r);
  if (!c) return "No candidate was built, so nothing was written.";
  const std::string file = r.file.filename().string();
  std::string out = r.kept ? "Kept: " + file : "Missed: " + file + " is the nearest that was found. It";
  if (r.base_bytes > 0) {
    out += fmt::format(" has {} of the bytes",
                       quotient(static_cast<double>(c->bytes) / static_cast<double>(r.base_bytes)));
  }
  if (c->speeds) {
    out += fmt::format("{} is {:.2f} times as fast (above {:.2f} with {:g} % confidence)",
                       r.base_bytes > 0 ? " and" : "", c->speeds->ratio, c->speeds->ratio_low, 100 * r.level);
  }
  std::string losses;
  if (r.final_quality) {
    for (const measure::Verdict& v : r.final_quality->verdicts) {
      if (v.loss.lone) continue;
      losses += fmt::format("{}the {} is {}", losses.empty() ? "" : ", ", measure::describe_metric(v.budget.metric),
                            in_unit(v.budget, v.loss.value));
      if (v.loss.upper) losses += fmt::format(" (below {})", in_unit(v.budget, *v.loss.upper));
    }
    if (!losses.empty()) {
      out += fmt::format("; on text{} that the search did not see, {}", r.final_questions > 0 ? " and questions" : "",
                         losses);
    }
    for (const measure::Verdict& v : r.final_quality->verdicts) {
      if (!v.loss.lone) continue;
      out += fmt::format("; the {} is {}, as it was printed: it has no bound, and candidates were chosen on it",
                         measure::describe_metric(v.budget.metric), in_unit(v.budget, v.loss.value));
    }
  }
  if (r.kept) return out + ".";
  out += "; missed: ";
  for (size_t i = 0; i < r.misses.size(); ++i) out += (i > 0 ? "; " : "") + r.misses[i];
  return out + ".";
}

FactTable comparison(const CompressReport& r) {
  const Candidate* const c = chosen_of(r);
  if (!c) return {};
  FactTable out{{{""}, number("base"), number("result"), number("result by base")}, {}};
  const auto row = [&](const std::string& what, double base, double own, auto show) {
    out.rows.push_back({{what}, number(show(base)), number(show(own)), number(base > 0 ? quotient(own / base) : "-")});
  };
  row("file", static_cast<double>(r.base_bytes), static_cast<double>(c->bytes), mb);
  row("memory", static_cast<double>(r.base_memory), static_cast<double>(c->memory), mb);
  if (c->speeds) {
    const Speeds& s = *c->speeds;
    if (r.wording.encoder) {
      row("request: " + in_words(r.request, r.wording), s.base.first, s.own.first, ms);
    } else {
      if (r.request.prompt > 0)
        row(fmt::format("first token, {} read", r.request.prompt), s.base.first, s.own.first, ms);
      if (r.request.gen > 0) row("each further token", s.base.step, s.own.step, ms);
      row(fmt::format("request, {} written", r.request.gen), s.base.request(r.request), s.own.request(r.request), ms);
    }
    out.rows.push_back({{"speed", false, "medians of rounds, both in turn"},
                        number("1"),
                        number(fmt::format("{:.2f} times", s.ratio)),
                        number("", fmt::format("above {:.2f} ({:g} %)", s.ratio_low, 100 * r.level))});
  }
  if (!r.final_quality) return out;
  const measure::Quality& q = *r.final_quality;
  // What both have, and what is between the two.
  const auto both = [&](const char* key, const std::string& label, const char* change) {
    const measure::Metric *base = q.find(std::string("base_") + key), *own = q.find(key), *by = q.find(change);
    if (!base || !own) return;
    out.rows.push_back({{label},
                        with_interval(*base),
                        with_interval(*own),
                        by ? with_interval({.value = by->value, .ci = by->ci, .form = by->form}) : number("")});
  };
  both("ppl", "perplexity of the final text", "ppl_rise");
  both("spearman", "rank correlation of the final pairs (Spearman)", "spearman_change");
  both("accuracy", r.final_questions > 0 ? "accuracy on the final questions" : "accuracy on the final texts", "");
  both("evaluate", "your own figure", "");
  for (const char* key : {"kld_mean", "same_top1", "distance_mean", "overlap"}) {
    if (const auto* m = q.find(key)) out.rows.push_back({{m->label}, number("-"), with_interval(*m), number("")});
  }
  return out;
}

FactTable budgets(const CompressReport& r) {
  const Candidate* const c = chosen_of(r);
  if (!c) return {};
  FactTable out{{{"budget"}, number("at most"), number("it is"), {"kept?"}}, {}};
  if (r.final_quality) {
    for (const measure::Verdict& v : r.final_quality->verdicts) {
      const std::string bound = v.loss.lone    ? "as it was printed; no bound"
                                : v.loss.upper ? "below " + in_unit(v.budget, *v.loss.upper)
                                               : "without a bound";
      std::string kept = v.outcome == measure::Outcome::passes ? "kept" : measure::name(v.outcome);
      if (v.more > 0)
        kept += fmt::format("; about {} more {}s would show it", v.more,
                            v.loss.unit.empty() ? r.final_quality->unit : v.loss.unit);
      out.rows.push_back({{std::string(measure::describe_metric(v.budget.metric))},
                          number(in_unit(v.budget, v.budget.margin)),
                          number(in_unit(v.budget, v.loss.value), bound),
                          {kept}});
    }
  }
  const auto at_most = [&](const char* what, std::optional<double> limit, double is, auto show) {
    if (limit) out.rows.push_back({{what}, number(show(*limit)), number(show(is)), {is <= *limit ? "kept" : "missed"}});
  };
  at_most("bytes of the file", size_limit(r), static_cast<double>(c->bytes), mb);
  at_most("memory", r.budgets.memory, static_cast<double>(c->memory), mb);
  if (c->speeds) {
    const Speeds& s = *c->speeds;
    if (r.budgets.speed) {
      out.rows.push_back({{"speed"},
                          number(fmt::format("at least {:g} times", *r.budgets.speed)),
                          number(fmt::format("{:.2f} times", s.ratio), fmt::format("above {:.2f}", s.ratio_low)),
                          {s.ratio_low >= *r.budgets.speed ? "kept" : "missed"}});
    }
    at_most("first token", r.budgets.first, s.own.first, ms);
    at_most("each further token", r.budgets.step, s.own.step, ms);
    at_most("request", r.budgets.request, s.own.request(r.request), ms);
  }
  return out;
}

FactTable statistics(const CompressReport& r) {
  const Candidate* const c = chosen_of(r);
  const measure::Quality* const own = c && c->quality ? &*c->quality : nullptr;
  const measure::Quality* const last = r.final_quality ? &*r.final_quality : nullptr;
  if (!own && !last) return {};
  FactTable out{{{fmt::format("with intervals at {:g} %", 100 * r.level)},
                 number("final text", last ? last->count() : ""),
                 number("verification text", own ? own->count() : "")},
                {}};
  for (const measure::Metric& m : (last ? last : own)->metrics) {
    const measure::Metric* const a = last ? last->find(m.key) : nullptr;
    const measure::Metric* const b = own ? own->find(m.key) : nullptr;
    out.rows.push_back({{m.label}, a ? with_interval(*a) : number("-"), b ? with_interval(*b) : number("-")});
  }
  return out;
}

FactTable sets(const CompressReport& r) {
  FactTable out{{{"set"},
                 number(r.wording.item + "s"),
                 number(r.wording.encoder ? "tokens of each, mean" : "tokens of each"),
                 number("tokens")},
                {}};
  for (const SetSize& s : r.sets) {
    out.rows.push_back({{s.name},
                        number(std::to_string(s.windows)),
                        number(std::to_string(s.tokens)),
                        number(std::to_string(s.total))});
  }
  if (r.final_questions > 0) {
    for (const auto& [name, n] : {std::pair{"verification", r.verify_questions}, std::pair{"final", r.final_questions}})
      out.rows.push_back(
          {{fmt::format("{} questions of {}", name, r.questions_name)}, number(std::to_string(n)), {}, {}});
  }
  return out;
}

std::string additivity(const CompressReport& r) {
  const Additivity& a = r.additivity;
  if (a.predicted.empty()) return "Whether losses of single matrices add up was not measured.";
  return fmt::format(
      "The search adds up losses of single matrices. Over {} random mixes near the budget, predicted and measured "
      "losses have a rank correlation (Spearman) of {:.3f}; measured is {:.2f} of predicted.",
      a.predicted.size(), a.spearman, a.slope);
}

std::string times_in_words(const CompressReport& r) {
  if (!r.times) return {};
  const Times rest = r.times->rest();
  if (r.wording.encoder) {
    return fmt::format(
        "Milliseconds of a request ({}) that all matrices of a kind take in a type. What no type changes takes {} ms. "
        "Of the gain that this promises, a whole mix was measured to have {:.2f}.",
        in_words(r.request, r.wording), measure::short_number(1e3 * rest.first), r.mix_gain.first);
  }
  return fmt::format(
      "Milliseconds of a request ({} tokens read, {} written, {} side by side) that all matrices of a kind take in a "
      "type; in small, those before the first token and those of each further one. What no type changes takes {} ms "
      "({} + {}). Of the gain that this promises, a whole mix was measured to have {:.2f} before the first token and "
      "{:.2f} behind it.",
      r.request.prompt, r.request.gen, r.request.batch, measure::short_number(1e3 * rest.request(r.request)),
      measure::short_number(1e3 * rest.first), measure::short_number(1e3 * rest.step), r.mix_gain.first,
      r.mix_gain.step);
}

std::string origin(const CompressReport& r, const ReportContext& context) {
  return fmt::format("{} ({}), SHA-256 {}; miao {}, {}; the search took {:.0f} s", r.model, r.architecture, r.sha256,
                     context.version, context.date, r.seconds);
}

std::string machine(const CompressReport& r, const ReportContext& context) {
  const measure::Machine& m = context.machine;
  std::string isas;
  for (const std::string& isa : m.isas) isas += (isas.empty() ? "" : ", ") + isa;
  return fmt::format("{}, {} cores, {}{}; {} thread{}; load {:.1f} when this was written", m.brand,
                     m.limits.physical_cores, m.kernel, isas.empty() ? "" : ", kernels for " + isas, r.threads,
                     r.threads == 1 ? "" : "s", m.load);
}

std::vector<std::string> energy(const CompressReport& r, const ReportContext& context) {
  std::vector<std::string> out;
  out.push_back(context.machine.energy_counter
                    ? "Energy was not measured: this machine has a counter (RAPL), but the search does not read it."
                    : "Energy was not measured: this machine has no energy counter (RAPL) that can be read.");
  const Candidate* const c = chosen_of(r);
  if (!c || !c->speeds || r.threads <= 0 || r.request.gen <= 0) return out;
  const double scale = 1e3 * r.threads / static_cast<double>(std::max<int64_t>(1, r.request.batch));
  out.push_back(fmt::format(
      "Instead, CPU time of each written token (threads times seconds, an upper bound): {} CPU-ms, the base "
      "{} CPU-ms.",
      measure::short_number(scale * c->speeds->own.step), measure::short_number(scale * c->speeds->base.step)));
  return out;
}

}  // namespace miao::compress

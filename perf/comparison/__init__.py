"""What perf/compare, perf/scaling and perf/report are made of: targets, scenarios, rounds, results, tables, plots."""

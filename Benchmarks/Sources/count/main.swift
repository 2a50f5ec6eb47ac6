// Runs scenarios for callgrind, which counts what `bench_measured` executes.
//
// usage: count list              the scenarios' names, one a line
//        count RUNS [NAME...]    these scenarios (all), RUNS times each, after two runs that are not counted

import AllScenarios
import Scenario

/// What is counted, by the name that callgrind is told.
@_silgen_name("bench_measured") @inline(never) @_optimize(none) func measured(_ run: () -> Void) { run() }
/// Marks the end of a run: callgrind writes a part of its report and begins the next one.
@_silgen_name("bench_mark") @inline(never) @_optimize(none) func mark() {}

func count(_ scenario: Scenario, runs: Int) throws {
    let rounds = try scenario.setUp()
    // What is done only the first time is behind us then.
    for _ in 0..<2 {
        rounds.prepare()
        rounds.run()
    }
    for _ in 0..<runs {
        rounds.prepare()
        measured(rounds.run)
        mark()
    }
    rounds.prepare()
}

let words = Array(CommandLine.arguments.dropFirst())
if words == ["list"] {
    for scenario in allScenarios { print(scenario.name) }
} else if let runs = words.first.flatMap({ Int($0) }), runs > 0 {
    let names = words.dropFirst()
    for name in names where !allScenarios.contains(where: { $0.name == name }) {
        giveUp("no scenario is called \(name)")
    }
    for scenario in allScenarios where names.isEmpty || names.contains(scenario.name) {
        do { try count(scenario, runs: runs) } catch { giveUp("\(scenario.name): \(error)") }
    }
} else {
    giveUp("usage: count list | count RUNS [NAME...]")
}

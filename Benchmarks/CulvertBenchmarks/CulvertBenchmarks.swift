import AllScenarios
import Benchmark
import Scenario

// The scenarios as ordo-one/benchmark runs them. Instructions alone: with other metrics asked for, it would count what
// they cost.
let benchmarks: @Sendable () -> Void = {
    let configuration = Benchmark.Configuration(metrics: [.instructions], maxDuration: .milliseconds(500))
    for scenario in allScenarios {
        Benchmark(scenario.name, configuration: configuration) { benchmark, rounds in
            rounds.prepare()
            benchmark.startMeasurement()
            rounds.run()
            benchmark.stopMeasurement()
        } setup: {
            try scenario.setUp()
        }
    }
}

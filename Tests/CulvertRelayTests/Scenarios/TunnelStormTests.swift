import Glibc
import Testing

@testable import CulvertRelay

/// Seeds of each kind of storm: `CULVERT_STORM_SEEDS` asks for more than a test run has time for.
let stormSeeds = getenv("CULVERT_STORM_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 6

/// Flows that end in every way at any moment, over links that do: judged by the law that a clean end means complete. Each
/// seed is another storm, and the same one again.
@Suite struct TunnelStormTests {
    struct Trial: CustomTestStringConvertible {
        let kind: TunnelStorm.Kind
        let weather: TunnelStorm.Weather
        let seed: UInt64
        var testDescription: String { "\(kind.rawValue), \(weather), seed \(seed)" }

        /// Those that found a fault once: they are run for ever.
        static let failed: [Trial] = []

        static let all: [Trial] = TunnelStorm.Kind.allCases.flatMap { kind in
            TunnelStorm.Weather.allCases.flatMap { weather in
                (1...stormSeeds).map { Trial(kind: kind, weather: weather, seed: $0) }
            }
        }
    }

    @Test(arguments: Trial.failed + Trial.all)
    func aCleanEndMeansComplete(_ trial: Trial) throws {
        _ = try TunnelStorm(trial.kind, trial.weather, seed: trial.seed).run()
    }

    /// A storm in which nothing is lost shows nothing.
    @Test(arguments: TunnelStorm.Kind.allCases)
    func theStormIsOne(_ kind: TunnelStorm.Kind) throws {
        var joined = 0
        var clean = 0
        var resets = 0
        var shortened = 0
        for seed in UInt64(50)..<54 {
            let judgement = try TunnelStorm(kind, seed.isMultiple(of: 2) ? .rough : .lost, seed: seed).run()
            joined += judgement.joined
            clean += judgement.cleanEnds
            resets += judgement.resets
            shortened += judgement.shortened
        }
        #expect(
            joined >= 20 && clean >= 10 && resets >= 5 && shortened >= 5, "\(joined) \(clean) \(resets) \(shortened)")
    }
}

/// The same of `culvert relay`.
@Suite struct PlainStormTests {
    struct Trial: CustomTestStringConvertible {
        let weather: PlainStorm.Weather
        let seed: UInt64
        var testDescription: String { "\(weather), seed \(seed)" }

        /// Those that found a fault once: they are run for ever.
        static let failed: [Trial] = []

        static let all: [Trial] = PlainStorm.Weather.allCases.flatMap { weather in
            (1...stormSeeds * 2).map { Trial(weather: weather, seed: $0) }
        }
    }

    @Test(arguments: Trial.failed + Trial.all)
    func aCleanEndMeansComplete(_ trial: Trial) throws {
        _ = try PlainStorm(trial.weather, seed: trial.seed).run()
    }

    @Test func theStormIsOne() throws {
        var joined = 0
        var clean = 0
        var resets = 0
        var shortened = 0
        for seed in UInt64(50)..<54 {
            let judgement = try PlainStorm(.rough, seed: seed).run()
            joined += judgement.joined
            clean += judgement.cleanEnds
            resets += judgement.resets
            shortened += judgement.shortened
        }
        #expect(
            joined >= 20 && clean >= 10 && resets >= 5 && shortened >= 5, "\(joined) \(clean) \(resets) \(shortened)")
    }
}

import Foundation
import Testing

@testable import culvert_load

@Suite struct SizeDistributionTests {
    private func sizes(_ text: String, _ count: Int = 20_000) throws -> [UInt64] {
        let distribution = try SizeDistribution(text: text)
        let key = SizeDistribution.key(seed: 3, connection: 1, direction: .down)
        return (0..<UInt64(count)).map { distribution.size($0, key) }
    }

    private func quantile(_ sizes: [UInt64], _ share: Double) -> Double {
        Double(sizes.sorted()[Int(share * Double(sizes.count))])
    }

    @Test("logarithm and exponential are those of the mathematical library")
    func arithmetic() {
        for value in [1e-17, 1e-3, 0.3, 0.5, 0.999, 1, 1.5, 2, 3.14, 1e9] {
            #expect(abs(SizeDistribution.logarithm(value) - log(value)) < 1e-14 * max(1, abs(log(value))), "\(value)")
        }
        for value in [-700.5, -30, -1, -0.3, 0, 0.2, 0.4, 1, 25, 600] {
            #expect(abs(SizeDistribution.exponential(value) / exp(value) - 1) < 1e-13 || value < -700, "\(value)")
        }
        #expect(SizeDistribution.exponential(-701) == 0 && SizeDistribution.exponential(701) == .infinity)
    }

    @Test("a size is the same on every machine")
    func repeatable() throws {
        #expect(try sizes("64", 3) == [64, 64, 64])
        #expect(try sizes("uniform:100:200", 6) == Self.uniform)
        #expect(try sizes("lognormal:1000:1.5", 6) == Self.lognormal)
        #expect(try sizes("pareto:1000:1.2", 6) == Self.pareto)
    }

    // Of a program of another language, with its mathematical library.
    private static let uniform: [UInt64] = [109, 159, 173, 174, 189, 188]
    private static let lognormal: [UInt64] = [26168, 2002, 3418, 145, 3853, 359]
    private static let pareto: [UInt64] = [1426, 1038, 1361, 3825, 1531, 2904]

    @Test("uniform: between its bounds, which it reaches, and even")
    func uniform() throws {
        let sizes = try sizes("uniform:100:199")
        #expect(Set(sizes) == Set(100...199))
        #expect(abs(quantile(sizes, 0.25) - 125) < 3 && abs(quantile(sizes, 0.75) - 175) < 3)
    }

    @Test("lognormal: median, spread and tail")
    func lognormal() throws {
        let sizes = try sizes("lognormal:10000:1.5")
        // Where the standard normal distribution has these shares below it.
        for (share, deviations) in [(0.1587, -1.0), (0.5, 0), (0.8413, 1), (0.97725, 2)] {
            #expect(abs(quantile(sizes, share) / (10_000 * exp(1.5 * deviations)) - 1) < 0.1, "\(share)")
        }
        #expect(try self.sizes("lognormal:10000:1.5:50000").max() == 50_000)
        #expect(try self.sizes("lognormal:1:5").min() == 1)
    }

    @Test("pareto: its least, median and tail")
    func pareto() throws {
        let sizes = try sizes("pareto:1000:1.2")
        #expect(sizes.min() == 1000)
        for share in [0.5, 0.9, 0.99] {
            #expect(abs(quantile(sizes, share) / (1000 * pow(1 - share, -1 / 1.2)) - 1) < 0.15, "\(share)")
        }
        #expect(try self.sizes("pareto:1000:0.3:70000").max() == 70_000)
    }

    @Test("connections, directions and seeds have sizes of their own")
    func distinct() throws {
        let distribution = try SizeDistribution(text: "uniform:1:1G")
        var seen: Set<[UInt64]> = []
        for seed in 0..<5 as Range<UInt64> {
            for connection in 0..<5 as Range<UInt32> {
                for direction in [Pattern.Direction.up, .down] {
                    let key = SizeDistribution.key(seed: seed, connection: connection, direction: direction)
                    #expect(seen.insert((0..<4).map { distribution.size($0, key) }).inserted)
                }
            }
        }
    }

    @Test("some are bulk, as many as asked for")
    func bulk() {
        let distribution = SizeDistribution(
            shape: .fixed, low: 10, maximum: 10, bulkShare: 50_000, bulkSize: 1_000_000)
        let key = SizeDistribution.key(seed: 1, connection: 0, direction: .down)
        let numbers = 0..<20_000 as Range<UInt64>
        let count = numbers.filter { distribution.isBulk($0, key) }.count
        #expect(abs(count - 1000) < 150)
        #expect(numbers.allSatisfy { distribution.size($0, key) == (distribution.isBulk($0, key) ? 1_000_000 : 10) })
    }

    @Test("the text of a distribution is read as it was written")
    func text() throws {
        for text in ["64", "uniform:1:16384", "lognormal:1024:1.500:16777216", "pareto:1:0.001:1073741824"] {
            #expect("\(try SizeDistribution(text: text))" == text)
        }
        #expect("\(try SizeDistribution(text: "uniform:1K:2M"))" == "uniform:1024:2097152")
    }

    @Test(
        "what is no distribution",
        arguments: [
            "", "0", "normal:1:2", "uniform", "uniform:10", "uniform:20:10", "uniform:1:2:3", "uniform:0:10",
            "lognormal:1K", "lognormal:1K:0", "lognormal:1K:-1", "lognormal:1K:nan", "lognormal:1K:21",
            "lognormal:1K:1:512", "pareto:1K:1.2:2G", "pareto::1", "lognormal:1K:1:1M:",
        ])
    func wrong(_ text: String) { #expect(throws: (any Error).self) { try SizeDistribution(text: text) } }

    @Test("the ends of requests and answers follow each other")
    func pieces() throws {
        let distribution = try SizeDistribution(text: "pareto:10:1")
        let key = SizeDistribution.key(seed: 9, connection: 4, direction: .up)
        var pieces = Pieces(distribution, seed: 9, connection: 4, .up)
        var end: UInt64 = 0
        for number in 0..<100 as Range<UInt64> {
            end += distribution.size(number, key)
            #expect(pieces.number == number && pieces.end == end)
            pieces.advance()
        }
    }
}

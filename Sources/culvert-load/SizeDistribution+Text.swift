internal import ArgumentParser

/// Distributions of sizes as people write and read them.
extension SizeDistribution: CustomStringConvertible {
    /// The longest of a heavy tail, where none is given: 16 MiB.
    static let usualMaximum: UInt32 = 16 << 20

    static let spelling = "bytes, uniform:LEAST:MOST, lognormal:MEDIAN:SIGMA[:MOST] or pareto:LEAST:ALPHA[:MOST]"

    /// `64`, `uniform:100:4K`, `lognormal:1K:1.5`, `pareto:1K:1.2:1M`.
    init(text: String) throws {
        let words = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        func wrong(_ why: String) -> ValidationError {
            ValidationError("'\(text)' is no distribution of sizes: \(why); give \(Self.spelling)")
        }
        if words.count == 1 {
            self = .fixed(UInt32(try Amounts.size(text)))
            return
        }
        switch (words[0], words.count) {
        case ("uniform", 3):
            self.init(
                shape: .uniform, low: UInt32(try Amounts.size(words[1])), maximum: UInt32(try Amounts.size(words[2])))
        case ("lognormal", 3...4), ("pareto", 3...4):
            guard let spread = Double(words[2]), spread >= 0.001, spread <= Double(Self.maximumSpread) / 1000 else {
                throw wrong("'\(words[2])' is not from 0.001 to \(Self.maximumSpread / 1000)")
            }
            self.init(
                shape: words[0] == "pareto" ? .pareto : .lognormal, low: UInt32(try Amounts.size(words[1])),
                maximum: words.count == 4 ? UInt32(try Amounts.size(words[3])) : Self.usualMaximum,
                spread: UInt32((spread * 1000).rounded()))
        default: throw wrong("it is none of fixed, uniform, lognormal and pareto with its numbers")
        }
        guard low <= maximum else { throw wrong("the most is less than \(low)") }
    }

    var description: String {
        let spread = Amounts.decimal(Double(spread) / 1000, 3)
        switch shape {
        case .fixed: return "\(low)"
        case .uniform: return "uniform:\(low):\(maximum)"
        case .lognormal: return "lognormal:\(low):\(spread):\(maximum)"
        case .pareto: return "pareto:\(low):\(spread):\(maximum)"
        }
    }
}

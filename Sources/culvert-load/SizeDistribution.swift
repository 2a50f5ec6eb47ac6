/// Sizes of requests or of answers: the n-th one of a connection is a function of its number alone, so that both ends
/// know where each ends.
///
/// Invariant: every size is from 1 to `maximum`. Made of additions, multiplications, divisions and square roots alone,
/// which IEEE 754 defines to the last bit: two machines with different mathematical libraries find the same sizes.
struct SizeDistribution: Equatable, Sendable, BitwiseCopyable {
    enum Shape: UInt8, CaseIterable, Sendable {
        case fixed = 1
        case uniform
        /// Heavy-tailed: the logarithm is normal. `low` is the median, `spread` its standard deviation.
        case lognormal
        /// Heavier: `low` is the least, `spread` the tail's exponent.
        case pareto
    }

    var shape: Shape
    /// Bytes: the only size, the least of them, or the median.
    var low: UInt32
    /// Bytes: what would be longer is this long.
    var maximum: UInt32
    /// In thousandths.
    var spread: UInt32 = 0
    /// Some are larger by themselves: so many of a million are of `bulkSize` bytes.
    var bulkShare: UInt32 = 0
    var bulkSize: UInt32 = 0

    static func fixed(_ size: UInt32) -> SizeDistribution {
        SizeDistribution(shape: .fixed, low: size, maximum: size)
    }

    var isFixed: Bool { shape == .fixed && bulkShare == 0 }

    /// Whether sizes can be made of it.
    var isValid: Bool {
        let isOrdered = low >= 1 && low <= maximum && maximum <= Amounts.maximumSize
        let hasSpread = (shape == .lognormal || shape == .pareto) == (spread > 0) && spread <= Self.maximumSpread
        let hasBulk = (bulkShare > 0) == (bulkSize > 0) && bulkShare <= 1_000_000 && bulkSize <= Amounts.maximumSize
        return isOrdered && hasSpread && hasBulk && (shape != .fixed || low == maximum)
    }

    /// In thousandths. A lognormal of deviation 20 spans more than any size.
    static let maximumSpread: UInt32 = 20_000

    /// Chooses the sizes of one direction of one connection.
    static func key(seed: UInt64, connection: UInt32, direction: Pattern.Direction) -> UInt64 {
        Pattern.mixed(Pattern.mixed(~seed) &+ (UInt64(connection) << 8 | direction.rawValue))
    }

    /// Whether the `number`-th one is one of those that are larger by themselves.
    func isBulk(_ number: UInt64, _ key: UInt64) -> Bool {
        bulkShare > 0 && Pattern.mixed(~(key &+ number)) % 1_000_000 < UInt64(bulkShare)
    }

    /// The size of the `number`-th one.
    func size(_ number: UInt64, _ key: UInt64) -> UInt64 {
        if isFixed { return UInt64(low) }
        if isBulk(number, key) { return UInt64(bulkSize) }
        var random = Sequence(state: Pattern.mixed(key &+ number))
        switch shape {
        case .fixed: return UInt64(low)
        case .uniform:
            // A modulus of 2^64 by 2^30 favours none by more than 2^-34.
            return UInt64(low) + random.next() % (UInt64(maximum) - UInt64(low) + 1)
        case .lognormal: return bounded(Double(low) * Self.exponential(Double(spread) / 1000 * random.normal()))
        case .pareto:
            return bounded(Double(low) * Self.exponential(-Self.logarithm(random.unit()) * 1000 / Double(spread)))
        }
    }

    private func bounded(_ size: Double) -> UInt64 { UInt64(max(1, min(Double(maximum), size))) }

    // MARK: Arithmetic

    /// Random words from a start.
    private struct Sequence {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = Pattern.mixed(state)
            return state
        }

        /// More than 0 and less than 1.
        mutating func unit() -> Double { (Double(next() >> 12) + 0.5) / 4_503_599_627_370_496 }

        /// Of mean 0 and deviation 1: the polar method, which needs no sine.
        mutating func normal() -> Double {
            while true {
                let (x, y) = (2 * unit() - 1, 2 * unit() - 1)
                let square = x * x + y * y
                if square < 1 && square > 0 {
                    return x * (-2 * SizeDistribution.logarithm(square) / square).squareRoot()
                }
            }
        }
    }

    private static let logarithmOf2 = 0.693_147_180_559_945_3

    /// The natural logarithm of a normal number: that of its power of two, and a series for the rest.
    static func logarithm(_ value: Double) -> Double {
        // ln m = 2 (s + s^3/3 + s^5/5 + …) with s = (m - 1) / (m + 1), at most 1/3.
        let s = (value.significand - 1) / (value.significand + 1)
        var sum = 0.0
        for power in stride(from: 31, through: 1, by: -2) { sum = sum * s * s + 1 / Double(power) }
        return Double(value.exponent) * logarithmOf2 + 2 * s * sum
    }

    /// e to the power of `value`, 0 or infinite beyond what a Double holds.
    static func exponential(_ value: Double) -> Double {
        guard abs(value) < 700 else { return value < 0 ? 0 : .infinity }
        let halvings = (value / logarithmOf2).rounded()
        let rest = value - halvings * logarithmOf2
        var sum = 1.0
        for power in stride(from: 16, through: 1, by: -1) { sum = 1 + sum * rest / Double(power) }
        return Double(sign: .plus, exponent: Int(halvings), significand: 1) * sum
    }
}

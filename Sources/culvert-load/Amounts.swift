internal import ArgumentParser
internal import CulvertIO

/// Numbers as people write and read them.
enum Amounts {
    static let maximumThreads = 256
    static let maximumConnections = 1_000_000
    /// A request or an answer: what a hello can name.
    static let maximumSize = 1 << 30
    static let maximumDepth = 65_536

    // MARK: Read

    static func count(_ text: String, upTo most: Int) throws -> Int {
        guard let count = Int(text), (1...most).contains(count) else {
            throw ValidationError("'\(text)' is not a number from 1 to \(most)")
        }
        return count
    }

    static func threads(_ text: String) throws -> Int { try count(text, upTo: maximumThreads) }
    static func connections(_ text: String) throws -> Int { try count(text, upTo: maximumConnections) }
    static func depth(_ text: String) throws -> Int { try count(text, upTo: maximumDepth) }

    static func size(_ text: String) throws -> Int {
        let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
        var digits = text[...]
        var unit = 1
        if let last = digits.last, let found = units[Character(last.uppercased())] {
            unit = found
            digits.removeLast()
        }
        guard let count = number(digits), count > 0, count <= maximumSize / unit else {
            throw ValidationError("'\(text)' is not a size: give bytes from 1 to 1G, for example 64 or 16K")
        }
        return count * unit
    }

    static func rate(_ text: String) throws -> Double {
        guard let rate = Double(text), rate > 0, rate <= 1e9 else {
            throw ValidationError("'\(text)' is not a rate: give requests a second, for example 5000")
        }
        return rate
    }

    /// A part of a whole, to a millionth.
    static func share(_ text: String) throws -> Double {
        guard let share = Double(text), (0...1).contains(share), share == 0 || share >= 0.000_001 else {
            throw ValidationError("'\(text)' is not a share: give 0 to 1, for example 0.01")
        }
        return share
    }

    /// More than nothing.
    static func duration(_ text: String) throws -> Tick.Span {
        let span = try time(text)
        guard span > .zero else { throw ValidationError("'\(text)' is no time at all: give for example 10s") }
        return span
    }

    static func time(_ text: String) throws -> Tick.Span {
        // Nanoseconds of a day fit well.
        let units: [(suffix: String, milliseconds: Int)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        for unit in units where text.hasSuffix(unit.suffix) {
            guard let count = number(text.dropLast(unit.suffix.count)), count <= 86_400_000 / unit.milliseconds else {
                break
            }
            return .milliseconds(count * unit.milliseconds)
        }
        if let count = number(text[...]), count <= 86_400 { return .milliseconds(count * 1000) }
        throw ValidationError("'\(text)' is not a time: give for example 10s, 500ms or 2m, at most a day")
    }

    private static func number(_ digits: Substring) -> Int? {
        digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(digits) : nil
    }

    // MARK: Written

    static func text(_ span: Tick.Span) -> String {
        let milliseconds = span.nanoseconds / 1_000_000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }

    /// Bytes a second, as bits and as bytes.
    static func rate(_ bytesASecond: Double) -> String {
        let bits = bytesASecond * 8
        let text = bits >= 1e9 ? decimal(bits / 1e9, 2) + " Gbit/s" : decimal(bits / 1e6, 2) + " Mbit/s"
        return text + " (" + decimal(bytesASecond / 1e6, 1) + " MB/s)"
    }

    static func latency(_ nanoseconds: Double) -> String {
        if nanoseconds < 1e3 { return decimal(nanoseconds, 0) + " ns" }
        if nanoseconds < 1e6 { return decimal(nanoseconds / 1e3, 1) + " µs" }
        if nanoseconds < 1e9 { return decimal(nanoseconds / 1e6, 2) + " ms" }
        return decimal(nanoseconds / 1e9, 3) + " s"
    }

    static func memory(_ bytes: Int) -> String { decimal(Double(bytes) / 1_048_576, 1) + " MiB" }

    /// So many digits behind the point.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((abs(value) * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % scale)
        return "\(sign)\(scaled / scale)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }
}

/// Time as sshd_config(5) TIME FORMATS spells it: a sequence of numbers, each with an optional unit s, m, h, d or w.
enum TimeValue {
    static let cause = "not a time: give seconds or ssh's form, for example 90 or 1m30s"

    /// Longer times overflow ssh's int.
    static let maximumSeconds = Int(Int32.max)

    /// nil: not a time, or longer than `maximumSeconds`.
    static func seconds(_ text: String) -> Int? {
        var total = 0
        var number: Int?
        for byte in text.utf8 {
            if (0x30...0x39).contains(byte) {
                let next = (number ?? 0) * 10 + Int(byte - 0x30)
                guard next <= maximumSeconds else { return nil }
                number = next
            } else {
                guard let count = number, let unit = unit(byte) else { return nil }
                total += count * unit
                number = nil
            }
            guard total <= maximumSeconds else { return nil }
        }
        guard !text.isEmpty else { return nil }
        total += number ?? 0
        return total <= maximumSeconds ? total : nil
    }

    private static func unit(_ byte: UInt8) -> Int? {
        switch byte | 0x20 {
        case UInt8(ascii: "s"): 1
        case UInt8(ascii: "m"): 60
        case UInt8(ascii: "h"): 3600
        case UInt8(ascii: "d"): 86400
        case UInt8(ascii: "w"): 604_800
        default: nil
        }
    }
}

/// An amount of memory: bytes, or with a unit K, M or G (powers of 1024).
enum SizeValue {
    static let cause = "not a size: give for example 64M, 256M or 1G"

    /// Powers of 1024, as scan_scaled(3) has them.
    private static let units = Array("BKMGTPE")

    /// A number, a fraction behind it perhaps, and a unit in either case.
    static func bytes(_ text: String) -> Int? {
        var number = text.hasPrefix("+") ? text.dropFirst() : text[...]
        var shift = 0
        if let unit = number.last?.uppercased().first, let power = units.firstIndex(of: unit) {
            shift = 10 * power
            number.removeLast()
        }
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        // 18 digits of a fraction are more than any unit has bits for.
        guard parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }), let whole = Int(parts[0]),
            parts.count == 1 || (1...18).contains(parts[1].count)
        else { return nil }
        let (bytes, overflow) = whole.multipliedReportingOverflow(by: 1 << shift)
        guard !overflow, parts.count == 2, let digits = Int(parts[1]) else { return overflow ? nil : bytes }
        var scale = 1
        for _ in 0..<parts[1].count { scale *= 10 }
        // 2^60 times 10^18 has 120 bits.
        let product = digits.multipliedFullWidth(by: 1 << shift)
        let (sum, isTooMuch) = bytes.addingReportingOverflow(scale.dividingFullWidth(product).quotient)
        return isTooMuch ? nil : sum
    }
}

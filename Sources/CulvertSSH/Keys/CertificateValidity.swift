/// From when and until when a certificate counts, in seconds since 1970 (PROTOCOL.certkeys): from the first on, and up to,
/// but not in, the second.
public struct CertificateValidity: Hashable, Sendable {
    public let from: UInt64
    /// All ones: for ever.
    public let before: UInt64

    public init(from: UInt64, before: UInt64) {
        self.from = from
        self.before = before
    }

    /// A moment in words: `2026-11-30 20:15:00 UTC`.
    public static func words(_ time: UInt64) -> String {
        // The last second of the year 9999; what lies behind it is nobody's date.
        guard time <= 253_402_300_799 else { return "second \(time) since 1970" }
        let (days, second) = (Int(time / 86400), Int(time % 86400))
        // Days of the civil calendar in eras of 400 years, which begin in March.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return
            "\(year)-\(two(month))-\(two(day)) \(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60)) UTC"
    }
}

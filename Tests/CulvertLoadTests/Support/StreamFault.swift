/// What a bad path does to a stream: to 4 KiB of it, once.
enum StreamFault: CaseIterable, Sendable {
    case drop
    case duplicate
    case swap

    static let length = 4096

    /// `bytes` hold twice the length behind `offset`.
    func applied(to bytes: [UInt8], at offset: Int) -> [UInt8] {
        let before = bytes[..<offset]
        let first = bytes[offset..<(offset + Self.length)]
        let second = bytes[(offset + Self.length)..<(offset + 2 * Self.length)]
        let after = bytes[(offset + 2 * Self.length)...]
        switch self {
        case .drop: return Array(before + second + after)
        case .duplicate: return Array(before + first + first + second + after)
        case .swap: return Array(before + second + first + after)
        }
    }

    /// Where the first wrong byte stands then.
    func firstWrong(_ offset: Int) -> Int { self == .duplicate ? offset + Self.length : offset }
}

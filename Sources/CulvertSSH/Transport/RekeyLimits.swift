/// How much one key may protect before keys are exchanged again, and before the link ends (RFC 4253 §9, RFC 4344 §3).
public struct RekeyLimits: Sendable, Hashable, BitwiseCopyable {
    /// An exchange begins at this many bytes or packets, in either direction. 32 GiB: half of the 2^32 blocks of 16 bytes
    /// that RFC 4344 §3.2 allows a cipher with blocks of 128 bits.
    public var bytes: UInt64 = 32 << 30
    var packets: UInt64 = 1 << 30
    /// Seconds after which its owner calls `beginKeyExchange`; nil: time does not matter. The engine has no clock.
    public var seconds: Int?

    /// One key protects no more than this (60 GiB, 2^31 packets), however long the peer takes to answer.
    static let hardBytes: UInt64 = 60 << 30
    static let hardPackets: UInt64 = 1 << 31

    public init() {}

    /// RekeyLimit in ssh's syntax: bytes with K, M or G, or `default`; then, perhaps, a time in seconds or as `1h30m`,
    /// or `none`.
    public init(_ text: String) throws(SSHError) {
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard let first = words.first, words.count <= 2, let bytes = Self.bytes(first),
            let seconds = words.count == 2 ? Self.seconds(words[1]) : .some(nil)
        else {
            throw SSHError(
                .local, "RekeyLimit \"\(PeerText(text))\" is not an amount such as 1G, with a time such as 1h behind it"
            )
        }
        self.bytes = bytes
        self.seconds = seconds
    }

    private static func bytes(_ word: Substring) -> UInt64? {
        guard word != "default", word != "none" else { return RekeyLimits().bytes }
        let shift: UInt64 =
            switch word.last {
            case "k", "K": 10
            case "m", "M": 20
            case "g", "G": 30
            default: 0
            }
        guard let number = UInt64(shift == 0 ? word : word.dropLast()), number < UInt64(1) << (shift == 0 ? 40 : 30)
        else { return nil }
        let bytes = number << shift
        // Less than a block is ssh's least.
        guard bytes >= 16 else { return nil }
        return min(bytes, RekeyLimits().bytes)
    }

    /// .some(nil): no limit.
    private static func seconds(_ word: Substring) -> Int?? {
        guard word != "none" else { return .some(nil) }
        var total = 0
        var number: Int?
        for character in word {
            if let digit = character.wholeNumberValue, character.isASCII {
                number = (number ?? 0) * 10 + digit
                guard number! < 1 << 30 else { return nil }
                continue
            }
            let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800]
            guard let unit = units[Character(character.lowercased())], let some = number else { return nil }
            total += some * unit
            number = nil
        }
        total += number ?? 0
        return total > 0 ? .some(total) : nil
    }

    func isDue(_ use: KeyUse) -> Bool { use.bytes >= bytes || use.packets >= packets }

    func isOver(_ use: KeyUse) -> Bool { use.bytes >= Self.hardBytes || use.packets >= Self.hardPackets }
}

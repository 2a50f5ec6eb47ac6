/// What a connection of culvert-load says first to `serve`: what it is for. Sixty-four bytes, numbers least significant
/// byte first; payload follows at once, from offset 0 of its stream.
struct Hello: Equatable, Sendable, BitwiseCopyable {
    enum Role: UInt8, Sendable {
        /// The client sends, the server checks.
        case up = 1
        /// The server sends until the client ends its direction.
        case down = 2
        /// Both at once.
        case both = 3
        /// Every request is answered.
        case exchange = 4
        /// As `exchange`, but the server ends the connection after the first answer.
        case single = 5
        /// As `exchange`: input events, answered with updates of the screen.
        case vnc = 6
        /// As `exchange`: queries and their results.
        case database = 7

        var exchanges: Bool {
            switch self {
            case .up, .down, .both: false
            case .exchange, .single, .vnc, .database: true
            }
        }
    }

    static let length = 64
    /// "CVTLOA2".
    private static let magic: UInt64 = 0x0032_414F_4C54_5643

    var role: Role
    var connection: UInt32
    var seed: UInt64
    /// Of the roles that exchange, and of no others.
    var sizes: ExchangeSizes?

    var bytes: [UInt8] {
        let numbers = (sizes?.numbers ?? ExchangeSizes.none).flatMap(\.littleEndianBytes)
        let shapes = [sizes?.requests.shape.rawValue ?? 0, sizes?.answers.shape.rawValue ?? 0]
        let head = Self.magic.littleEndianBytes + [role.rawValue] + shapes + [0]
        return head + connection.littleEndianBytes + seed.littleEndianBytes + numbers
    }

    init(role: Role, connection: UInt32, seed: UInt64, sizes: ExchangeSizes? = nil) {
        self.role = role
        self.connection = connection
        self.seed = seed
        self.sizes = sizes
    }

    /// Whether these may become a hello: as far as they go, they are its magic.
    static func mayBegin(_ bytes: [UInt8]) -> Bool { zip(bytes, magic.littleEndianBytes).allSatisfy { $0 == $1 } }

    /// nil when these are not a hello's bytes.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.length, UInt64(littleEndianBytes: bytes[0..<8]) == Self.magic,
            let role = Role(rawValue: bytes[8]), bytes[11] == 0
        else { return nil }
        let numbers = stride(from: 24, to: Self.length, by: 4).map { UInt32(littleEndianBytes: bytes[$0..<$0 + 4]) }
        let sizes = ExchangeSizes(numbers, shapes: bytes[9...10])
        let isEmpty = bytes[9...10].allSatisfy { $0 == 0 } && numbers == ExchangeSizes.none
        guard role.exchanges ? sizes != nil : isEmpty else { return nil }
        self.init(
            role: role, connection: UInt32(littleEndianBytes: bytes[12..<16]),
            seed: UInt64(littleEndianBytes: bytes[16..<24]), sizes: role.exchanges ? sizes : nil)
    }
}

/// What the server says of the client's payload, as the last thing on a connection: thirty-two bytes.
///
/// It begins with the complement of the eight bytes that would have come next in the server's own stream, so it cannot
/// be taken for payload, and payload that was lost before it is noticed.
struct Verdict: Equatable, Sendable, BitwiseCopyable {
    enum Finding: UInt64, Sendable {
        /// Everything up to the client's end was right.
        case right = 1
        /// The byte at `offset` was not the stream's.
        case differs = 2
    }

    static let length = 32

    var finding: Finding
    /// Payload bytes received, or where the first wrong byte stands.
    var offset: UInt64

    /// `sent`: payload bytes that the server sent before.
    func bytes(_ down: Pattern, sent: UInt64) -> [UInt8] {
        let mark = (0..<8).map { ~down.byte(at: sent &+ $0) }
        return mark + finding.rawValue.littleEndianBytes + offset.littleEndianBytes
            + Self.check(finding.rawValue, offset).littleEndianBytes
    }

    /// Whether bytes that are not payload may still become a verdict: as far as they go, they are its mark.
    static func mayBegin(_ bytes: ArraySlice<UInt8>, _ down: Pattern, received: UInt64) -> Bool {
        bytes.count <= length
            && zip(bytes.prefix(8), 0 as UInt64..<8).allSatisfy { $0 == ~down.byte(at: received &+ $1) }
    }

    /// nil when it was damaged.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.length, let finding = Finding(rawValue: UInt64(littleEndianBytes: bytes[8..<16]))
        else { return nil }
        self.init(finding, offset: UInt64(littleEndianBytes: bytes[16..<24]))
        guard UInt64(littleEndianBytes: bytes[24..<32]) == Self.check(finding.rawValue, offset) else { return nil }
    }

    init(_ finding: Finding, offset: UInt64) {
        self.finding = finding
        self.offset = offset
    }

    private static func check(_ finding: UInt64, _ offset: UInt64) -> UInt64 {
        Pattern.mixed(Pattern.mixed(finding) ^ offset)
    }
}

extension FixedWidthInteger {
    var littleEndianBytes: [UInt8] {
        (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> (8 * Self($0))) }
    }

    init(littleEndianBytes bytes: ArraySlice<UInt8>) {
        self = bytes.reversed().reduce(0) { $0 << 8 | Self($1) }
    }
}

/// What a connection of culvert-load says first to `serve`'s load endpoint: what it is for. Thirty-two bytes, numbers
/// least significant byte first; payload follows at once, from offset 0 of its stream.
struct Hello: Equatable, Sendable, BitwiseCopyable {
    enum Role: UInt8, Sendable {
        /// The client sends, the server checks.
        case up = 1
        /// The server sends until the client ends its direction.
        case down = 2
        /// Both at once.
        case both = 3
        /// Every `requestSize` bytes are answered with `responseSize`.
        case exchange = 4
        /// As `exchange`, but the server ends the connection after the first answer.
        case single = 5
    }

    static let length = 32
    /// "CLVTLOA1".
    private static let magic: UInt64 = 0x3141_4F4C_5456_4C43

    var role: Role
    var connection: UInt32
    var seed: UInt64
    var requestSize: UInt32 = 0
    var responseSize: UInt32 = 0

    var bytes: [UInt8] {
        Self.magic.littleEndianBytes + [role.rawValue, 0, 0, 0] + connection.littleEndianBytes
            + seed.littleEndianBytes + requestSize.littleEndianBytes + responseSize.littleEndianBytes
    }

    init(role: Role, connection: UInt32, seed: UInt64, requestSize: UInt32 = 0, responseSize: UInt32 = 0) {
        self.role = role
        self.connection = connection
        self.seed = seed
        self.requestSize = requestSize
        self.responseSize = responseSize
    }

    /// nil when these are not a hello's bytes.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.length, UInt64(littleEndianBytes: bytes[0..<8]) == Self.magic,
            let role = Role(rawValue: bytes[8]), bytes[9] == 0, bytes[10] == 0, bytes[11] == 0
        else { return nil }
        self.init(
            role: role, connection: UInt32(littleEndianBytes: bytes[12..<16]),
            seed: UInt64(littleEndianBytes: bytes[16..<24]), requestSize: UInt32(littleEndianBytes: bytes[24..<28]),
            responseSize: UInt32(littleEndianBytes: bytes[28..<32]))
        let exchanges = role == .exchange || role == .single
        guard exchanges == (requestSize > 0), exchanges == (responseSize > 0) else { return nil }
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

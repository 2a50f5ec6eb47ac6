internal import Scenario

/// Sixteen packets are sealed where they lie, back to back, or opened there.
private struct PacketRound: ~Copyable, Round {
    private static let count = 16
    private var sealer = PacketSealer()
    private var opener = PacketOpener()
    private let memory: UnsafeMutableRawPointer
    private let messageLength: Int
    private let stride: Int
    private let opens: Bool

    init(_ cipher: PacketCipher, payloadLength: Int, opens: Bool) throws {
        let key = [UInt8](repeating: 7, count: cipher.keyLength)
        let iv = [UInt8](repeating: 9, count: cipher.ivLength)
        let macKey = [UInt8](repeating: 5, count: cipher.macKeyLength)
        sealer.setKey(
            try PacketKey(cipher, key: key.span, iv: iv.span, macKey: macKey.span, .sealing, gcm: .best),
            resetsSequence: true)
        opener.setKey(
            try PacketKey(cipher, key: key.span, iv: iv.span, macKey: macKey.span, .opening, gcm: .best),
            resetsSequence: true)
        // With the header of SSH_MSG_CHANNEL_DATA.
        messageLength = 9 + payloadLength
        self.opens = opens
        stride = sealer.wireLength(messageLength: messageLength)
        memory = .allocate(byteCount: stride * Self.count, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0x61, count: stride * Self.count)
    }

    deinit { memory.deallocate() }

    mutating func prepare() { if opens { seal() } }
    mutating func run() { if opens { open() } else { seal() } }

    private mutating func seal() {
        for index in 0..<Self.count {
            guard sealer.seal(at: memory + index * stride, messageLength: messageLength) == stride else {
                giveUp("a packet has another length than was said")
            }
        }
    }

    private mutating func open() {
        for index in 0..<Self.count {
            guard let opened = try? opener.open(memory + index * stride, available: stride),
                opened.wireLength == stride, opened.packet.count == messageLength
            else { giveUp("a packet does not open") }
        }
    }
}

/// Bytes of payload: a small request, 1 KiB, a full packet.
let payloadLengths = [100, 1024, 32768]

let packets: [Scenario] = [false, true].flatMap { opens in
    PacketCipher.protecting.flatMap { cipher in
        payloadLengths.map { length in
            Scenario("\(opens ? "open" : "seal")-\(cipher.word)-\(length)") {
                try PacketRound(cipher, payloadLength: length, opens: opens)
            }
        }
    }
}

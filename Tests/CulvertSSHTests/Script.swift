import Testing

@testable import CulvertSSH

/// The wire as a test writes and reads it: its own codec, which can say anything, right or wrong.
enum Script {
    static func u32(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
    static func string(_ bytes: [UInt8]) -> [UInt8] { u32(bytes.count) + bytes }
    static func string(_ text: String) -> [UInt8] { string(Array(text.utf8)) }

    static func packet(_ message: [UInt8]) -> [UInt8] {
        var padding = 8 - (5 + message.count) % 8
        if padding < 4 { padding += 8 }
        return u32(1 + message.count + padding) + [UInt8(padding)] + message + [UInt8](repeating: 0, count: padding)
    }

    /// The messages in a sequence of whole packets.
    static func messages(_ bytes: [UInt8]) -> [[UInt8]] {
        var left = bytes[...]
        var messages: [[UInt8]] = []
        while left.count >= 5 {
            let length = number(left, 0)
            let padding = Int(left[left.startIndex + 4])
            precondition((length + 4).isMultiple(of: 8) && padding >= 4, "the engine made a packet that is none")
            messages.append(Array(left.dropFirst(5).prefix(length - 1 - padding)))
            left = left.dropFirst(4 + length)
        }
        precondition(left.isEmpty, "the engine's output ends in a part of a packet")
        return messages
    }

    /// The uint32 at an offset.
    static func number(_ bytes: some Collection<UInt8>, _ offset: Int) -> Int {
        bytes.dropFirst(offset).prefix(4).reduce(0) { $0 << 8 | Int($1) }
    }

    // MARK: Messages

    static func openDirect(
        sender: Int, window: Int = 1 << 20, maximumPacket: Int = 32768, host: String = "db", port: Int = 5432
    ) -> [UInt8] {
        [90] + string("direct-tcpip") + u32(sender) + u32(window) + u32(maximumPacket)
            + string(host) + u32(port) + string("127.0.0.1") + u32(40000)
    }
    static func openForwarded(
        sender: Int, address: String, port: Int, window: Int = 1 << 20, maximumPacket: Int = 32768
    ) -> [UInt8] {
        [90] + string("forwarded-tcpip") + u32(sender) + u32(window) + u32(maximumPacket)
            + string(address) + u32(port) + string("10.0.0.9") + u32(40000)
    }
    static func confirm(_ recipient: Int, sender: Int, window: Int = 1 << 20, maximumPacket: Int = 32768) -> [UInt8] {
        [91] + u32(recipient) + u32(sender) + u32(window) + u32(maximumPacket)
    }
    static func fail(_ recipient: Int, reason: Int = 2, words: String = "no") -> [UInt8] {
        [92] + u32(recipient) + u32(reason) + string(words) + string("")
    }
    static func adjust(_ recipient: Int, _ count: Int) -> [UInt8] { [93] + u32(recipient) + u32(count) }
    static func data(_ recipient: Int, _ count: Int) -> [UInt8] {
        [94] + u32(recipient) + string([UInt8](repeating: 0x61, count: count))
    }
    static func extended(_ recipient: Int, _ count: Int, type: Int = 1) -> [UInt8] {
        [95] + u32(recipient) + u32(type) + string([UInt8](repeating: 0x65, count: count))
    }
    static func eof(_ recipient: Int) -> [UInt8] { [96] + u32(recipient) }
    static func close(_ recipient: Int) -> [UInt8] { [97] + u32(recipient) }
    static func request(_ recipient: Int, wantsReply: Bool) -> [UInt8] {
        [98] + u32(recipient) + string("eow@openssh.com") + [wantsReply ? 1 : 0]
    }
    static func global(_ name: String, wantsReply: Bool, _ rest: [UInt8] = []) -> [UInt8] {
        [80] + string(name) + [wantsReply ? 1 : 0] + rest
    }
}

extension Node {
    /// The peer says these messages, whole or byte by byte.
    @discardableResult
    func hear(_ messages: [UInt8]..., drip: Bool = false) throws -> [String] {
        let bytes = messages.flatMap { Script.packet($0) }
        guard drip else { return try feed(bytes).map(\.words) }
        return try bytes.flatMap { try feed([$0]).map(\.words) }
    }

    /// What the engine says.
    func said() -> [[UInt8]] { Script.messages(takeAllOutput()) }

    /// The message is the peer's fault: it ends the connection with code 2, and its words go nowhere.
    func refuses(_ message: [UInt8], drip: Bool = false, sourceLocation: SourceLocation = #_sourceLocation) {
        do {
            let events = try hear(message, drip: drip)
            Issue.record("taken: \(message.prefix(40)) led to \(events)", sourceLocation: sourceLocation)
        } catch let error as SSHError {
            #expect(error.kind == .protocolViolation, "\(error)", sourceLocation: sourceLocation)
            let last = said().last ?? []
            #expect(last.first == 1 && Script.number(last, 1) == 2, sourceLocation: sourceLocation)
        } catch {
            Issue.record(error, sourceLocation: sourceLocation)
        }
    }

    /// A client with channel 0 open, which the peer calls `peer`.
    static func clientWithChannel(
        _ settings: ConnectionSettings = ConnectionSettings(), peer: Int = 7, window: Int = 1 << 20,
        maximumPacket: Int = 32768
    ) throws -> Node {
        let node = Node(.client, settings)
        let channel = try node.engine.open(
            .directTCPIP(host: "db", port: 5432, originator: "127.0.0.1", originatorPort: 1))
        #expect(channel.value == 0)
        let events = try node.hear(Script.confirm(0, sender: peer, window: window, maximumPacket: maximumPacket))
        #expect(events == ["opened 0"])
        _ = node.takeAllOutput()
        return node
    }
}

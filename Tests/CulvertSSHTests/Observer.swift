import Testing

@testable import CulvertSSH

/// Reads what two engines say to each other, with the tests' own codec, and keeps the accounts of every channel: what
/// was granted against what was sent, and that EOF and CLOSE come once and last. It trusts neither end.
struct Observer {
    /// One direction of one channel, as its receiver granted it.
    private struct Account {
        var granted: Int
        var sent = 0
        var maximumPacket: Int
        var ended = false
        var closed = false
    }

    /// By the receiver's number; [0]: what the client receives, [1]: what the server receives.
    private var accounts: [[Int: Account]] = [[:], [:]]
    /// The other end's number, by the side's own.
    private var partner: [[Int: Int]] = [[:], [:]]
    private var partial: [[UInt8]] = [[], []]
    private(set) var largestSize = 0
    private(set) var messageCount = 0

    /// Bytes that `from` (0: client, 1: server) sends.
    mutating func see(_ bytes: [UInt8], from: Int) {
        partial[from] += bytes
        var at = 0
        while partial[from].count - at >= 5 {
            let length = Script.number(partial[from].dropFirst(at), 0)
            guard partial[from].count - at >= 4 + length else { break }
            let padding = Int(partial[from][at + 4])
            judge(Array(partial[from][(at + 5)..<(at + 4 + length - padding)]), from)
            at += 4 + length
        }
        partial[from].removeFirst(at)
    }

    private mutating func judge(_ message: [UInt8], _ from: Int) {
        messageCount += 1
        let to = 1 - from
        let recipient = message.count >= 5 ? Script.number(message, 1) : 0
        switch message[0] {
        case 90:
            let sender = 5 + Script.number(message, 1)
            accounts[from][Script.number(message, sender)] = Account(
                granted: Script.number(message, sender + 4), maximumPacket: Script.number(message, sender + 8))
        case 91:
            let sender = Script.number(message, 5)
            accounts[from][sender] = Account(
                granted: Script.number(message, 9), maximumPacket: Script.number(message, 13))
            partner[from][sender] = recipient
            partner[to][recipient] = sender
        case 93:
            let own = partner[to][recipient]!
            accounts[from][own]!.granted += Script.number(message, 5)
            #expect(!accounts[to][recipient]!.closed, "credit after CLOSE")
            largestSize = max(largestSize, accounts[from][own]!.granted - accounts[from][own]!.sent)
        case 94:
            var account = accounts[to][recipient]!
            account.sent += Script.number(message, 5)
            #expect(account.sent <= account.granted, "more sent than granted")
            #expect(Script.number(message, 5) <= account.maximumPacket)
            #expect(!account.ended && !account.closed, "data after EOF or CLOSE")
            accounts[to][recipient] = account
        case 96:
            #expect(!accounts[to][recipient]!.ended && !accounts[to][recipient]!.closed, "EOF twice or after CLOSE")
            accounts[to][recipient]!.ended = true
        case 97:
            #expect(!accounts[to][recipient]!.closed, "CLOSE twice")
            accounts[to][recipient]!.closed = true
        default: break
        }
    }
}

/// A client and a server engine, and the bytes between them.
final class Link {
    let client: Node
    let server: Node
    var observer = Observer()
    private var wires: [[UInt8]] = [[], []]
    private var random: SplitMix

    /// How the bytes are cut on their way.
    enum Cut: Sendable, CaseIterable {
        case whole
        case oneByte
        case random
    }
    let cut: Cut

    init(_ cut: Cut, seed: UInt64 = 1, _ settings: ConnectionSettings = ConnectionSettings()) {
        self.cut = cut
        random = SplitMix(seed)
        client = Node(.client, settings)
        server = Node(.server, settings)
    }

    /// Moves some bytes both ways. Returns whether anything moved; the events in the order in which they came.
    func step() throws -> (moved: Bool, client: [EngineEvent], server: [EngineEvent]) {
        let toServer = try carry(client, 0, server)
        let toClient = try carry(server, 1, client)
        return (toServer.moved || toClient.moved, toClient.events, toServer.events)
    }

    private func carry(_ from: Node, _ side: Int, _ to: Node) throws -> (moved: Bool, events: [EngineEvent]) {
        let limit = cut == .random ? Int.random(in: 0...100_000, using: &random) : .max
        let out = from.takeOutput(limit)
        observer.see(out, from: side)
        wires[side] += out
        var events: [EngineEvent] = []
        var at = 0
        let wire = wires[side]
        while at < wire.count {
            let size: Int
            switch cut {
            case .whole: size = wire.count - at
            case .oneByte: size = 1
            case .random: size = min(wire.count - at, Int.random(in: 1...70_000, using: &random))
            }
            events += try to.feed(wire[at..<at + size])
            at += size
            // Some of it stays on the way.
            if cut == .random && Int.random(in: 0..<4, using: &random) == 0 { break }
        }
        wires[side].removeFirst(at)
        return (at > 0 || !out.isEmpty || !wires[side].isEmpty, events)
    }

    /// Until nothing moves any more.
    @discardableResult
    func settle() throws -> (client: [String], server: [String]) {
        var all: (client: [String], server: [String]) = ([], [])
        var quiet = 0
        while quiet < 20 {
            let step = try step()
            all.client += step.client.map(\.words)
            all.server += step.server.map(\.words)
            // A random cut may carry nothing while something is there.
            let waits = !client.engine.output.isEmpty || !server.engine.output.isEmpty
            quiet = step.moved || waits ? 0 : quiet + 1
            if cut != .random && quiet > 0 { break }
        }
        return all
    }

    /// A channel that is open at both ends.
    func openChannel() throws -> (client: ChannelNumber, server: ChannelNumber) {
        let own = try client.engine.open(
            .directTCPIP(host: "db", port: 5432, originator: "127.0.0.1", originatorPort: 999))
        let before = server.events.count
        try settle()
        guard case .openRequested(let theirs) = server.events[before...].first else {
            throw SSHError(.local, "no open request came")
        }
        server.engine.accept(theirs)
        try settle()
        return (own, theirs)
    }
}

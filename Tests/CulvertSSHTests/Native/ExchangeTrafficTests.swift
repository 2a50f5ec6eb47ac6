import Testing

@testable import CulvertSSH

/// A peer that goes on talking between its SSH_MSG_KEXINIT and its SSH_MSG_NEWKEYS of a later exchange, as AsyncSSH up to
/// 2.14.2 does: nothing is lost, and what we say keeps to RFC 4253 §7.1.
@Suite struct ExchangeTrafficTests {
    enum Role: CaseIterable { case client, server }

    /// A link with channel 0, which the peer calls 7.
    private func link(_ role: Role, drips: Bool = false) throws -> any ScriptedEnd {
        switch role {
        case .client:
            let end = try ScriptedServerSteps(drips: drips)
            _ = try end.peer.client.engine.open(.directStreamLocal(path: "/x"))
            #expect(try end.tell([Script.confirm(0, sender: 7, window: 100 << 20)]) == ["opened 0"])
            return end
        case .server:
            let end = try ScriptedClient(drips: drips)
            #expect(try end.tell([Script.openDirect(sender: 7, window: 100 << 20)]) == ["requested 0"])
            end.engine.accept(ChannelNumber(0))
            #expect(try end.tell([]) == [])
            return end
        }
    }

    private static let keepalive = Script.global("keepalive@openssh.com", wantsReply: true)

    /// At each place of an exchange that either end began: payload arrives, a question is answered with our keys.
    @Test(arguments: Role.allCases, [false, true])
    func everyPlaceTakesTheConnectionsMessages(_ role: Role, _ drips: Bool) throws {
        for isOurs in [false, true] {
            let end = try link(role, drips: drips)
            let before = end.heard.count
            let answer: UInt8 = 82
            func talk() throws {
                #expect(
                    try end.tell([Script.data(0, 1000), Self.keepalive, Script.adjust(0, 5), Script.data(0, 1)]) == [])
            }
            if isOurs { end.beginByEngine() }
            try talk()
            try end.sayInit()
            try talk()
            #expect(!isOurs || !end.heard[before...].contains { $0[0] >= 50 })
            try end.sayPart()
            // Our SSH_MSG_NEWKEYS is out; theirs is not.
            #expect(end.heard.last { $0[0] < 50 } == [21])
            try talk()
            try end.sayNewKeys()
            try talk()
            #expect(end.arrived.count == 4 * 1001)
            #expect(end.heard.filter { $0[0] == answer }.count == 4)
            try Self.checkOrder(end.heard)
        }
    }

    /// Channels begin and end in it, too.
    @Test(arguments: Role.allCases) func channelsBeginAndEndInAnExchange(_ role: Role) throws {
        let end = try link(role)
        try end.sayInit()
        #expect(try end.tell([Script.eof(0), Script.close(0)]) == ["ended 0", "closed 0 after end"])
        if role == .server { #expect(try end.tell([Script.openDirect(sender: 8)]) == ["requested 1"]) }
        #expect(try end.tell([Script.global("no-more-sessions@openssh.com", wantsReply: false)]) == [])
        try end.sayPart()
        try end.sayNewKeys()
        try Self.checkOrder(end.heard)
    }

    /// What the login says, and strict key exchange, are no matter of a later exchange.
    @Test(arguments: [80, 90, 94, 98] as [UInt8]) func theFirstExchangeTakesNone(_ number: UInt8) throws {
        for place in [ScriptedServer.Place.first, .firstStrict, .afterReply] {
            let peer = try ScriptedServer()
            try peer.lead(to: place)
            peer.expect(.protocolViolation, reason: 2) { try peer.say([number] + Script.u32(0) + Script.u32(0)) }
        }
        // Keys renewed in the login.
        let peer = try ScriptedServer()
        try peer.lead(to: .authentication)
        try peer.sayInit()
        peer.expect(.protocolViolation, reason: 2) { try peer.say([number] + Script.u32(0) + Script.u32(0)) }
    }

    /// Exchanges that both ends begin at any moment, under payload both ways that never pauses, from seeds.
    @Test(arguments: Role.allCases, 0..<24 as Range<UInt64>)
    func stormsOfPayloadAndExchanges(_ role: Role, _ seed: UInt64) throws {
        var random = SplitMix(seed)
        let end = try link(role, drips: seed.isMultiple(of: 12))
        let outgoing = (0..<400_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        var sent = 0
        var told: [UInt8] = []
        var questions = 0
        // How far our part of an exchange is; and exchanges that ended.
        enum Step { case idle, part, newKeys }
        var step = Step.idle
        var exchanges = 0
        while exchanges < 12 || step != .idle {
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1, 2:
                let bytes = (0..<Int.random(in: 1...3000, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                told += bytes
                try end.tell([[94] + Script.u32(0) + Script.string(bytes)])
            case 3:
                questions += 1
                try end.tell([Self.keepalive])
            case 4:
                let most = min(outgoing.count, sent + 5000)
                sent += try end.engineSends(outgoing[sent..<most])
            case 5:
                if step == .idle { end.beginByEngine() }
            default:
                switch step {
                case .idle:
                    try end.sayInit()
                    step = .part
                case .part:
                    try end.sayPart()
                    step = .newKeys
                case .newKeys:
                    try end.sayNewKeys()
                    exchanges += 1
                    step = .idle
                }
            }
        }
        // One that the engine alone has begun.
        if end.heard.filter({ $0[0] == 20 }).count > exchanges + 1 {
            try end.sayInit()
            try end.sayPart()
            try end.sayNewKeys()
        }
        #expect(end.arrived == told)
        let heard = end.heard.filter { $0[0] == 94 }.flatMap { $0.dropFirst(9) }
        #expect(heard == Array(outgoing[..<sent]))
        #expect(end.heard.filter { $0[0] == 82 }.count == questions)
        try Self.checkOrder(end.heard)
    }

    /// Between our SSH_MSG_KEXINIT and our SSH_MSG_NEWKEYS nothing else is said.
    private static func checkOrder(_ heard: [[UInt8]]) throws {
        var isExchanging = false
        for message in heard {
            switch message[0] {
            case 20:
                try #require(!isExchanging)
                isExchanging = true
            case 21: isExchanging = false
            case 30...49: #expect(isExchanging)
            default: #expect(!isExchanging, "message \(message[0]) in an exchange")
            }
        }
        #expect(!isExchanging)
    }
}

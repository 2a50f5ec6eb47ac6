import Testing

@testable import CulvertSSH

/// Floods, requests and opens that no tunnel has a use for, and words that would not be safe to show: answered or
/// refused, in bounded memory.
@Suite struct HostileRequestTests {
    // MARK: Floods

    /// Unsolicited answers change nothing and take no memory.
    @Test(arguments: [81, 82, 99, 100] as [UInt8])
    func unsolicitedAnswersAreDropped(_ number: UInt8) throws {
        let node = try Node.clientWithChannel()
        let message = number >= 99 ? [number] + Script.u32(0) : [number]
        let batch = [[UInt8]](repeating: Script.packet(message), count: 1000).flatMap { $0 }
        for _ in 0..<100 { #expect(try node.feed(batch).isEmpty) }
        #expect(node.said().isEmpty && node.engine.deferredBytes == 0 && node.engine.pendingRequestCount == 0)
        #expect(node.engine.channelCount == 1)
    }

    /// A peer that asks for ever and reads its answers is answered for ever; one that does not read them is cut off.
    @Test(arguments: [
        Script.global("x@y", wantsReply: true), Script.request(0, wantsReply: true),
        Script.openDirect(sender: 1), [200],
    ])
    func aFloodOfQuestionsIsBounded(_ question: [UInt8]) throws {
        let reads = try Node.clientWithChannel()
        for _ in 0..<20_000 {
            try reads.hear(question)
            #expect(reads.said().count == 1)
        }
        #expect(reads.engine.deferredBytes == 0 && reads.engine.channelCount == 1)
        let deaf = try Node.clientWithChannel()
        var asked = 0
        while asked < 200_000, (try? deaf.hear(question)) != nil {
            asked += 1
            #expect(deaf.engine.deferredBytes <= 66_000)
        }
        #expect(asked > 5_000 && asked < 200_000)
        #expect(deaf.said().last?.first == 1)
    }

    /// The same, where the engine's owner is who refuses.
    @Test func aFloodOfOpensThatTheOwnerRefusesIsBounded() throws {
        let deaf = Node(.server, ConnectionSettings())
        var asked = 0
        while asked < 200_000, let events = try? deaf.hear(Script.openDirect(sender: 1)) {
            #expect(events.count == 1)
            deaf.engine.refuse(ChannelNumber(0), .connectFailed, words: "connect failed")
            asked += 1
            #expect(deaf.engine.deferredBytes <= 66_000)
        }
        #expect(asked > 500 && asked < 200_000)
        #expect(deaf.said().last?.first == 1)
    }

    @Test func opensBeyondTheLimitAreRefused() throws {
        var settings = ConnectionSettings()
        settings.maximumChannels = 3
        let node = Node(.server, settings)
        for sender in 0..<3 { #expect(try node.hear(Script.openDirect(sender: sender)).count == 1) }
        #expect(try node.hear(Script.openDirect(sender: 3)) == [])
        #expect(node.said().map { Array($0.prefix(9)) } == [[92] + Script.u32(3) + Script.u32(4)])
        node.engine.refuse(ChannelNumber(1), .connectFailed, words: "")
        #expect(try node.hear(Script.openDirect(sender: 3)) == ["requested 1"])
        let client = Node(.client, settings)
        for _ in 0..<3 {
            _ = try client.engine.open(.directStreamLocal(path: "/x"))
        }
        #expect(throws: SSHError.self) { try client.engine.open(.directStreamLocal(path: "/x")) }
    }

    // MARK: Requests and opens

    @Test func requestsAreAnsweredOnlyWhenAsked() throws {
        let node = try Node.clientWithChannel()
        try node.hear(
            Script.request(0, wantsReply: true), Script.request(0, wantsReply: false),
            Script.global("hostkeys-00@openssh.com", wantsReply: false, [1, 2, 3]),
            Script.global("keepalive@openssh.com", wantsReply: true))
        #expect(node.said() == [[100] + Script.u32(7), [82]])
    }

    @Test(arguments: [
        ("session", 1, 1), ("x11", 3, 3), ("", 3, 3), ("direct-tcpi", 3, 3), ("direct-tcpipp", 3, 3),
    ])
    func whatIsNoTunnelIsRefused(_ type: String, _ client: Int, _ server: Int) throws {
        let message = [90] + Script.string(type) + Script.u32(9) + Script.u32(1) + Script.u32(32768)
        for (role, reason) in [(ConnectionRole.client, client), (.server, server)] {
            let node = Node(role)
            #expect(try node.hear(message) == [])
            #expect(node.said().map { Array($0.prefix(9)) } == [[92] + Script.u32(9) + Script.u32(reason)])
        }
    }

    @Test func endpointsThatCannotBeAreRefused() throws {
        let messages = [
            Script.openDirect(sender: 9, port: 65536), Script.openDirect(sender: 9, port: 0xffff_ffff),
            Script.openDirect(sender: 9, host: "a\0b"),
            Script.openDirect(sender: 9, host: String(repeating: "a", count: 1025)),
            [90] + Script.string("direct-tcpip") + Script.u32(9) + Script.u32(1) + Script.u32(32768)
                + Script.string([0xff, 0xfe]) + Script.u32(1) + Script.string("") + Script.u32(1),
        ]
        for message in messages {
            let node = Node(.server)
            #expect(try node.hear(message) == [])
            #expect(node.said().map { Array($0.prefix(9)) } == [[92] + Script.u32(9) + Script.u32(2)])
        }
    }

    @Test func namesThatAreTooLongAreNotSent() throws {
        let long = String(repeating: "a", count: 1025)
        let node = Node(.client)
        #expect(throws: SSHError.self) {
            try node.engine.open(.directTCPIP(host: long, port: 1, originator: "", originatorPort: 0))
        }
        #expect(throws: SSHError.self) { try node.engine.requestForward(.streamLocal(path: long)) }
        #expect(throws: SSHError.self) {
            try node.engine.open(.forwardedTCPIP(address: "", port: 1, originator: "", originatorPort: 0))
        }
        #expect(throws: SSHError.self) { try Node(.server).engine.open(.directStreamLocal(path: "/x")) }
        #expect(throws: SSHError.self) { try Node(.server).engine.requestForward(.streamLocal(path: "/x")) }
        #expect(node.said().isEmpty && node.engine.channelCount == 0)
        let most = String(repeating: "b", count: 1024)
        _ = try node.engine.open(.directTCPIP(host: most, port: 1, originator: most, originatorPort: 0))
        #expect(node.said().count == 1)
    }

    // MARK: Words

    @Test func thePeersWordsAreEscapedAndCut() throws {
        let words = "\u{1b}]0;evil\u{7}\r\nbye" + String(repeating: "z", count: 30_000)
        let node = try Node.clientWithChannel()
        let error = #expect(throws: SSHError.self) {
            try node.hear([1] + Script.u32(2) + Script.string(words) + Script.string(""))
        }
        #expect(error?.kind == .disconnected)
        let text = error?.description ?? ""
        #expect(
            text.contains("the server disconnected (reason 2); the server says: \\u{1b}]0;evil\\u{7} / byez")
                && text.count < 600)
        #expect(node.said().isEmpty)
        let refused = Node(.client)
        let channel = try refused.engine.open(.directStreamLocal(path: "/x"))
        #expect(try refused.hear(Script.fail(0, reason: 77, words: words)) == ["refused 0 1"])
        let refusal = refused.engine.takeRefusal(channel).description
        #expect(refusal.unicodeScalars.allSatisfy { $0.value >= 0x20 } && refusal.count < 500)
    }

    @Test(arguments: [[1], [1, 0], [1, 0, 0, 0, 11], [1, 0, 0, 0, 11, 0xff, 0xff, 0xff, 0xff, 1]] as [[UInt8]])
    func aDisconnectThatIsCutShortIsOneAllTheSame(_ message: [UInt8]) throws {
        let error = #expect(throws: SSHError.self) { try Node.clientWithChannel().hear(message) }
        #expect(error?.kind == .disconnected)
    }
}

import Testing

@testable import CulvertSSH

/// hostkeys-00@openssh.com and the proof of what it says, with servers that lie.
@Suite struct HostKeyNewsTests {
    private let news = "hostkeys-00@openssh.com"

    private func connected() throws -> ScriptedServer {
        let peer = try ScriptedServer()
        try peer.lead(to: .connection)
        return peer
    }

    private func offer(_ keys: [[UInt8]], wantsReply: Bool = false) -> [UInt8] {
        Script.global(news, wantsReply: wantsReply, keys.flatMap { Script.string($0) })
    }

    private func taken(_ peer: ScriptedServer) -> HostKeyProof? { peer.client.engine.takeHostKeyProof() }
    private func offered(_ peer: ScriptedServer) -> [[UInt8]] { peer.client.engine.takeOfferedHostKeys() }

    private func signature(_ key: TestHostKey, _ session: [UInt8], blob: [UInt8]? = nil) -> [UInt8] {
        key.sign(
            Script.string("hostkeys-prove-00@openssh.com") + Script.string(session) + Script.string(blob ?? key.blob))
    }

    /// A connection that has asked for the proof of these keys.
    private func asked(_ keys: [TestHostKey]) throws -> ScriptedServer {
        let peer = try connected()
        let events = try peer.say(offer(keys.map(\.blob)))
        #expect(events.map { "\($0)" } == ["hostKeysOffered"])
        #expect(offered(peer) == keys.map(\.blob))
        #expect(offered(peer).isEmpty, "they are taken once")
        peer.client.engine.requestHostKeyProof(of: keys.map(\.blob))
        peer.listen()
        #expect(
            peer.last(80)
                == Script.global(
                    "hostkeys-prove-00@openssh.com", wantsReply: true, keys.flatMap { Script.string($0.blob) }))
        return peer
    }

    @Test func aRightProofProvesAllOfThem() throws {
        let keys = [TestHostKey(), TestHostKey()]
        let peer = try asked(keys)
        let session = peer.sessionIdentifier
        let events = try peer.say([81] + keys.flatMap { Script.string(signature($0, session)) })
        #expect(events.map { "\($0)" } == ["hostKeyProofAnswered"])
        let proof = try #require(taken(peer))
        #expect(proof.proven() == keys.map(\.blob))
        #expect(taken(peer) == nil, "it is taken once")
    }

    @Test("a signature over another session, of another key, over another key's name, or in the wrong place")
    func falseSignaturesProveNothing() throws {
        let keys = [TestHostKey(), TestHostKey()]
        for number in 0..<4 {
            let peer = try asked(keys)
            let session = peer.sessionIdentifier
            let right = keys.map { signature($0, session) }
            let answers = [
                [right[0], signature(keys[1], session.reversed())], [right[0], signature(TestHostKey(), session)],
                [right[0], signature(keys[1], session, blob: keys[0].blob)], [right[1], right[0]],
            ]
            try peer.say([81] + answers[number].flatMap { Script.string($0) })
            let proof = try #require(taken(peer))
            #expect(proof.proven() == nil)
        }
    }

    @Test func anotherNumberOfSignaturesAndARefusalAreNoProof() throws {
        let keys = [TestHostKey(), TestHostKey()]
        let one = signature(keys[0], [1])
        for answer in [
            [82], [81], [81] + Script.string(one), [81] + Script.string(one) + Script.string(one) + Script.string(one),
            [81] + Script.string(one) + [0, 0, 0, 9], [81] + [UInt8](repeating: 0, count: 30_000),
        ] {
            let peer = try asked(keys)
            #expect(try peer.say(answer).map { "\($0)" } == ["hostKeyProofAnswered"])
            #expect(taken(peer) == nil)
        }
    }

    @Test("a key that signs in a way that is unknown here, or by SHA-1, is left out and spoils nothing")
    func unknownSignatures() throws {
        let key = TestHostKey()
        let session: [UInt8] = [1, 2, 3]
        let rsa =
            Script.string("ssh-rsa") + Script.string([1, 0, 1]) + Script.string([UInt8](repeating: 7, count: 256))
        let sha1 = Script.string("ssh-rsa") + Script.string([UInt8](repeating: 7, count: 256))
        let proof = HostKeyProof(
            keys: [rsa, key.blob], signatures: [sha1, signature(key, session)], sessionID: session, agreedRSA: nil)
        #expect(proof.proven() == [key.blob])
        let agreed = HostKeyProof(
            keys: [rsa, key.blob], signatures: [sha1, signature(key, session)], sessionID: session, agreedRSA: .rsa256)
        #expect(agreed.proven() == nil, "what was agreed on is what counts")
    }

    @Test func tooMuchAndTooOftenIsLetGo() throws {
        let peer = try connected()
        let key = TestHostKey().blob
        #expect(try peer.say(offer([])).isEmpty)
        #expect(try peer.say(offer([[UInt8]](repeating: [7], count: 6_000))).isEmpty)
        #expect(try peer.say(offer([[UInt8](repeating: 7, count: HostKeyNews.maximumBytes)])).isEmpty)
        #expect(try peer.say(Script.global(news, wantsReply: false, [9, 9, 9, 9])).isEmpty)
        for _ in 0..<HostKeyNews.maximumOffers { #expect(try peer.say(offer([key])).count == 1) }
        for _ in 0..<1000 { #expect(try peer.say(offer([key])).isEmpty) }
        #expect(try peer.say(offer([key], wantsReply: true)).isEmpty)
        #expect(peer.last(82) != nil, "who wants an answer gets one")
    }

    @Test func oneQuestionAtATimeAndAnswersInTurn() throws {
        let key = TestHostKey()
        let peer = try asked([key])
        let before = peer.heard.count
        peer.client.engine.requestHostKeyProof(of: [key.blob])
        peer.listen()
        #expect(peer.heard.count == before)
        peer.client.engine.probe()
        peer.listen()
        #expect(try peer.say([82]).map { "\($0)" } == ["hostKeyProofAnswered"])
        #expect(try peer.say([82]).map { "\($0)" } == ["probeAnswered"])
        #expect(try peer.say([81]).isEmpty, "an answer that nobody asked for")
    }
}

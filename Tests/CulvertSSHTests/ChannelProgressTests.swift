import Testing

@testable import CulvertSSH

/// What shows that the peer still works on the channels, and which channels are not over.
@Suite struct ChannelProgressTests {
    /// Whether the messages show it.
    private func shows(_ node: Node, _ messages: [UInt8]...) throws -> Bool {
        let before = node.engine.channelProgress
        for message in messages { try node.hear(message) }
        return node.engine.channelProgress > before
    }

    @Test("a grant, EOF, CLOSE and an answer show it, each for itself")
    func everyKind() throws {
        let node = try Node.clientWithChannel()
        _ = try node.engine.open(.directStreamLocal(path: "/a"))
        _ = try node.engine.open(.directStreamLocal(path: "/b"))
        #expect(node.engine.channelCount == 3)
        #expect(try shows(node, Script.adjust(0, 1)))
        #expect(try shows(node, Script.confirm(1, sender: 7)))
        #expect(try shows(node, Script.fail(2)))
        #expect(node.engine.channelCount == 2)
        #expect(try shows(node, Script.eof(0)))
        #expect(try shows(node, Script.close(0)))
        #expect(node.engine.channelCount == 2)
        node.engine.close(ChannelNumber(0))
        #expect(node.engine.channelCount == 1)
    }

    @Test("a channel that we have closed counts until the peer's CLOSE, and what comes for it until then shows it")
    func afterOurClose() throws {
        let node = try Node.clientWithChannel()
        node.engine.close(ChannelNumber(0))
        #expect(try shows(node, Script.adjust(0, 1)))
        #expect(try shows(node, Script.data(0, 1)))
        #expect(try shows(node, Script.eof(0)))
        #expect(node.engine.channelCount == 1)
        #expect(try shows(node, Script.close(0)))
        #expect(node.engine.channelCount == 0)
    }

    @Test("a channel closed before its answer counts, and the answer shows it")
    func closedWhileOpening() throws {
        let node = Node(.client)
        for _ in 0..<2 { node.engine.close(try node.engine.open(.directStreamLocal(path: "/a"))) }
        #expect(node.engine.channelCount == 2)
        #expect(try shows(node, Script.fail(0)))
        #expect(try shows(node, Script.confirm(1, sender: 7)))
        #expect(node.engine.channelCount == 1)
    }

    @Test("what a peer can repeat for ever shows nothing")
    func repeated() throws {
        let node = try Node.clientWithChannel()
        #expect(try shows(node, Script.eof(0)))
        let idle = [
            Script.eof(0), Script.adjust(0, 0), Script.adjust(5, 100), Script.request(0, wantsReply: false),
            Script.global("keepalive@openssh.com", wantsReply: false),
        ]
        for message in idle { #expect(try !shows(node, message)) }
        // After CLOSE a grant is late, for a free number and for one that is not.
        #expect(try shows(node, Script.close(0)))
        #expect(try !shows(node, Script.adjust(0, 100)))
        node.engine.close(ChannelNumber(0))
        #expect(try !shows(node, Script.adjust(0, 100)))
        let other = try Node.clientWithChannel()
        let empty = [Script.data(0, 0), Script.extended(0, 0)]
        for message in empty + [Script.extended(0, 10)] { #expect(try !shows(other, message)) }
        other.engine.close(ChannelNumber(0))
        for message in empty { #expect(try !shows(other, message)) }
        // Nor does payload beyond every window.
        #expect(try shows(other, Script.data(0, 250_000)))
        #expect(try shows(other, Script.data(0, 200_000)))
        for _ in 0..<3 { #expect(try !shows(other, Script.data(0, 200_000))) }
    }
}

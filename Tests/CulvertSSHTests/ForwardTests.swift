import Testing

@testable import CulvertSSH

/// Reverse forwards and the requests of the connection, whose answers carry no number.
@Suite struct ForwardTests {
    @Test("a command that nobody waits for leaves nothing behind when it is refused, and that is told")
    func refusedCommand() throws {
        let link = Link(.whole)
        link.client.engine.runTrue()
        #expect(try link.settle().client == ["command refused"])
        let (own, _) = try link.openChannel()
        #expect(own.value == 0)
    }

    @Test("a command that is refused once its channel stands is told of, once; no other answer is")
    func refusedRequest() throws {
        let node = try Node.clientWithChannel()
        node.engine.runTrue()
        _ = node.said()
        #expect(try node.hear(Script.confirm(1, sender: 9)) == [])
        // What is asked for wants an answer, and CLOSE waits for none.
        let exec = [98] + Script.u32(9) + Script.string("exec") + [1] + Script.string("true")
        #expect(node.said() == [exec, Script.close(9)])
        #expect(try node.hear([100] + Script.u32(0)) == [])
        #expect(try node.hear([100] + Script.u32(1)) == ["command refused"])
        #expect(try node.hear([100] + Script.u32(1)) == [])
        #expect(try node.hear(Script.close(1)) == [])
        #expect(node.engine.channelCount == 1)
    }

    @Test(arguments: Link.Cut.allCases)
    func aForwardIsAskedForUsedAndCancelled(_ cut: Link.Cut) throws {
        let link = Link(cut)
        let first = try link.client.engine.requestForward(.tcp(address: "localhost", port: 0))
        let second = try link.client.engine.requestForward(.streamLocal(path: "/run/back"))
        let third = try link.client.engine.requestForward(.tcp(address: "", port: 8822))
        link.client.engine.probe()
        #expect(
            try link.settle().server == ["forward requested 0", "forward requested 1", "forward requested 2"])
        let requests = (0..<3).map { link.server.engine.forwardRequest(PeerForwardNumber($0)) }
        #expect(requests.allSatisfy { $0.action == .listen })
        #expect(
            requests.map(\.request) == [
                .tcp(address: "localhost", port: 0), .streamLocal(path: "/run/back"), .tcp(address: "", port: 8822),
            ])
        // The keepalive's answer waits behind them.
        #expect(try link.settle().client == [])
        link.server.engine.acceptForward(PeerForwardNumber(0), port: 40123)
        #expect(try link.settle().client == ["forward \(first.value) true 40123"])
        link.server.engine.acceptForward(PeerForwardNumber(1), port: 0)
        link.server.engine.refuseForward(PeerForwardNumber(2))
        #expect(
            try link.settle().client == [
                "forward \(second.value) true 0", "forward \(third.value) false 0", "probe answered",
            ])
        #expect(link.client.engine.pendingRequestCount == 0 && link.server.engine.pendingRequestCount == 0)

        // Somebody connects: by the address that was asked for, by the one connected to, and to the socket.
        for (address, port, request) in [
            ("localhost", 40123, true), ("127.0.0.1", 40123, true), ("::1", 40123, true), ("10.1.1.1", 40123, false),
            ("localhost", 40124, false), ("", 8822, false),
        ] as [(String, UInt16, Bool)] {
            let theirs = try link.server.engine.open(
                .forwardedTCPIP(address: address, port: port, originator: "10.0.0.9", originatorPort: 1))
            let events = try link.settle()
            if request {
                #expect(events.client == ["requested 0"])
                #expect(
                    link.client.engine.openRequest(ChannelNumber(0))
                        == .forwardedTCPIP(address: "localhost", port: 40123, originator: "10.0.0.9", originatorPort: 1)
                )
                link.client.engine.refuse(ChannelNumber(0), .connectFailed, words: "no")
                #expect(try link.settle().server == ["refused \(theirs.value) 2"])
            } else {
                #expect(events.client == [] && events.server == ["refused \(theirs.value) 1"])
            }
        }
        let socket = try link.server.engine.open(.forwardedStreamLocal(path: "/run/back"))
        #expect(try link.settle().client == ["requested 0"])
        link.client.engine.accept(ChannelNumber(0))
        #expect(try link.settle().server == ["opened \(socket.value)"])
        try link.server.send(socket, [1, 2, 3])
        #expect(try link.settle().client == ["payload 0 3"])

        link.client.engine.cancelForward(first)
        link.client.engine.cancelForward(first)
        // The keepalive had a number too.
        #expect(try link.settle().server == ["forward requested 4"])
        #expect(
            link.server.engine.forwardRequest(PeerForwardNumber(4))
                == PeerForwardRequest(action: .cancel, request: .tcp(address: "localhost", port: 40123)))
        link.server.engine.acceptForward(PeerForwardNumber(4), port: 0)
        _ = try link.server.engine.open(
            .forwardedTCPIP(address: "localhost", port: 40123, originator: "", originatorPort: 1))
        let late = try link.settle()
        #expect(late.client == [] && late.server == ["refused 1 1"])
        #expect(link.client.engine.pendingRequestCount == 0)
    }

    @Test func aForwardThatIsCancelledBeforeItsAnswerIsCancelledAfterIt() throws {
        let node = Node(.client)
        let forward = try node.engine.requestForward(.tcp(address: "", port: 0))
        node.engine.cancelForward(forward)
        #expect(node.said() == [Script.global("tcpip-forward", wantsReply: true, Script.string("") + Script.u32(0))])
        #expect(try node.hear([81] + Script.u32(40001)) == [])
        #expect(
            node.said() == [
                Script.global("cancel-tcpip-forward", wantsReply: true, Script.string("") + Script.u32(40001))
            ])
        #expect(try node.hear([81]) == [])
        #expect(node.engine.pendingRequestCount == 0)
        let refused = try node.engine.requestForward(.tcp(address: "", port: 1))
        node.engine.cancelForward(refused)
        #expect(try node.hear([82]) == [])
        #expect(node.engine.pendingRequestCount == 0)
    }

    @Test func answersBelongToRequestsInTheirOrder() throws {
        let node = Node(.client)
        node.engine.probe()
        let first = try node.engine.requestForward(.tcp(address: "", port: 81))
        node.engine.probe()
        let second = try node.engine.requestForward(.tcp(address: "", port: 82))
        let names = node.said().map { message in
            String(decoding: message.dropFirst(5).prefix(Script.number(message, 1)), as: UTF8.self)
        }
        #expect(names == ["keepalive@openssh.com", "tcpip-forward", "keepalive@openssh.com", "tcpip-forward"])
        #expect(
            try node.hear([82], [81], [81], [82]) == [
                "probe answered", "forward \(first.value) true 81", "probe answered", "forward \(second.value) false 0",
            ])
        #expect(try node.hear([81], [82]) == [])
    }

    /// tinyssh answers every global request with SSH_MSG_UNIMPLEMENTED.
    @Test func aServerWithoutGlobalRequestsRefusesThem() throws {
        let node = Node(.client)
        let forward = try node.engine.requestForward(.tcp(address: "", port: 81))
        node.engine.probe()
        #expect(try node.hear([3] + Script.u32(0)) == ["forward \(forward.value) false 0"])
        // That is an answer too.
        #expect(try node.hear([3] + Script.u32(1)) == ["probe answered"])
        #expect(node.engine.pendingRequestCount == 0)
        #expect(try node.hear([3] + Script.u32(2)) == [])
    }

    @Test(arguments: [0, 65536, 0xffff_ffff])
    func aPortThatIsNoneIsRefused(_ port: Int) throws {
        let node = Node(.client)
        _ = try node.engine.requestForward(.tcp(address: "", port: 0))
        _ = node.takeAllOutput()
        node.refuses([81] + Script.u32(port))
    }

    @Test func answersLeaveInTheOrderOfTheRequests() throws {
        let node = Node(.server)
        let listen = Script.string("localhost") + Script.u32(0)
        try node.hear(
            Script.global("tcpip-forward", wantsReply: true, listen), Script.global("x@y", wantsReply: true),
            Script.global("tcpip-forward", wantsReply: false, listen),
            Script.global("tcpip-forward", wantsReply: true, Script.string("") + Script.u32(99)),
            Script.global("tcpip-forward", wantsReply: true, Script.string("") + Script.u32(70000)))
        #expect(node.said().isEmpty)
        // The one between them is unknown, the one after them impossible: they are refused in their turn.
        node.engine.acceptForward(PeerForwardNumber(3), port: 99)
        #expect(node.said().isEmpty)
        node.engine.acceptForward(PeerForwardNumber(0), port: 5000)
        #expect(node.said() == [[81] + Script.u32(5000), [82]])
        node.engine.acceptForward(PeerForwardNumber(2), port: 5001)
        #expect(node.said() == [[81], [82]])
        #expect(node.engine.pendingRequestCount == 0)
    }

    @Test("a client refuses by itself what only a server is asked for")
    func aClientIsAskedForNoForward() throws {
        let node = Node(.client)
        let listen = Script.string("localhost") + Script.u32(0)
        #expect(
            try node.hear(
                Script.global("tcpip-forward", wantsReply: true, listen),
                Script.global("cancel-tcpip-forward", wantsReply: false, listen)) == [])
        #expect(node.said() == [[82]])
    }

    @Test("words of a refusal are made anew for each, reach the peer escaped, and no longer than a line of a log")
    func wordsOfARefusal() throws {
        let node = Node(.server)
        try node.hear(Script.openDirect(sender: 3), Script.openDirect(sender: 4))
        let port = 5432
        node.engine.refuse(ChannelNumber(0), .administrativelyProhibited, words: "port \(port) is not for \u{1b}you")
        node.engine.refuse(ChannelNumber(1), .connectFailed, words: String(repeating: "\u{1F512}", count: 5000))
        let said = node.said()
        #expect(said.first == Script.fail(3, reason: 1, words: "port 5432 is not for \\u{1b}you"))
        let longest = String(repeating: "\u{1F512}", count: PeerText.maximumLength) + "…"
        #expect(said.last == Script.fail(4, reason: 2, words: longest))
    }

    @Test func requestsThatNobodyTakesAreBounded() throws {
        let node = Node(.server)
        var count = 0
        while count < 5000,
            (try? node.hear(Script.global("tcpip-forward", wantsReply: true, Script.string("") + Script.u32(1)))) != nil
        {
            count += 1
        }
        #expect(count == 1024 && node.said().last?.first == 1)
    }

    @Test func aSecondForwardOnTheSamePortIsFoundByItsAddress() throws {
        let node = Node(.client)
        for address in ["", "10.0.0.1"] {
            _ = try node.engine.requestForward(.tcp(address: address, port: 80))
            try node.hear([81])
        }
        for (said, asked) in [("10.0.0.1", "10.0.0.1"), ("10.0.0.2", ""), ("0.0.0.0", "")] {
            guard
                case .openRequested(let channel) = try node.feed(
                    Script.packet(Script.openForwarded(sender: 1, address: said, port: 80))
                ).first
            else {
                Issue.record("\(said) matched nothing")
                continue
            }
            guard case .forwardedTCPIP(asked, 80, "10.0.0.9", 40000) = node.engine.openRequest(channel) else {
                Issue.record("\(said) did not match \(asked)")
                continue
            }
        }
    }

    /// Many servers listen first and answer then. What is asked for nowhere is refused, and told of.
    @Test func aChannelThatComesBeforeTheAnswerIsAskedAbout() throws {
        let node = Node(.client)
        func isTaken(_ address: String, _ port: UInt16) throws -> Bool {
            let events = try node.hear(Script.openForwarded(sender: 1, address: address, port: Int(port)))
            return !events.isEmpty
        }
        let first = try node.engine.requestForward(.tcp(address: "", port: 81))
        _ = node.takeAllOutput()
        #expect(try isTaken("", 81))
        #expect(node.engine.takeUnaskedOpen() == nil)
        #expect(try !isTaken("", 82))
        #expect(node.said().map(\.first) == [92])
        #expect(
            node.engine.takeUnaskedOpen()
                == .forwardedTCPIP(address: "", port: 82, originator: "10.0.0.9", originatorPort: 40000))
        #expect(node.engine.takeUnaskedOpen() == nil, "once")
        // One that leaves the port to the server: any port may be its. Of two, either.
        _ = try node.engine.requestForward(.tcp(address: "localhost", port: 0))
        #expect(try isTaken("localhost", 4000) && !isTaken("10.0.0.1", 4000))
        _ = try node.engine.requestForward(.tcp(address: "localhost", port: 0))
        #expect(try !isTaken("localhost", 4000))
        // Cancelled before its answer: nothing is wanted any more.
        node.engine.cancelForward(first)
        #expect(try !isTaken("", 81))
    }
}

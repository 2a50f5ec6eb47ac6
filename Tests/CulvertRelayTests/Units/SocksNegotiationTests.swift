import CulvertPlan
import CulvertSSH
import Testing

@testable import CulvertRelay

/// What SOCKS clients say, and what they are told, byte by byte.
@Suite struct SocksNegotiationTests {
    struct Exchange: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Up to the end of the request.
        let client: [UInt8]
        let answers: [UInt8]
        let step: SocksNegotiation.Step
    }

    private static func request(_ host: String, _ port: UInt16) -> SocksNegotiation.Step {
        .requested(SocksRequest(host: host, port: port))
    }

    private static let name = Array("db.internal".utf8)
    private static let local: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    private static let zeros: [UInt8] = [0, 1, 0, 0, 0, 0, 0, 0]

    static let exchanges: [Exchange] = [
        Exchange(
            testDescription: "4", client: [4, 1, 0x15, 0x38, 10, 1, 2, 3, 0], answers: [],
            step: request("10.1.2.3", 5432)),
        Exchange(
            testDescription: "4 with a user", client: [4, 1, 0, 80, 0, 0, 1, 0] + name + [0], answers: [],
            step: request("0.0.1.0", 80)),
        Exchange(
            testDescription: "4a", client: [4, 1, 0, 80, 0, 0, 0, 1, 0x75, 0] + name + [0], answers: [],
            step: request("db.internal", 80)),
        Exchange(
            testDescription: "4, BIND", client: [4, 2, 0, 80, 1, 2, 3, 4, 0], answers: [0, 0x5b, 0, 0, 0, 0, 0, 0],
            step: .failed(.command(2))),
        Exchange(
            testDescription: "4a, no name", client: [4, 1, 0, 80, 0, 0, 0, 1, 0, 0],
            answers: [0, 0x5b, 0, 0, 0, 0, 0, 0], step: .failed(.name)),
        Exchange(
            testDescription: "4, a user without an end",
            client: [4, 1, 0, 80, 1, 2, 3, 4] + [UInt8](repeating: 0x61, count: 256),
            answers: [0, 0x5b, 0, 0, 0, 0, 0, 0], step: .failed(.malformed)),
        Exchange(
            testDescription: "5, IPv4", client: [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, 0, 22], answers: [5, 0],
            step: request("127.0.0.1", 22)),
        Exchange(
            testDescription: "5, IPv6", client: [5, 2, 2, 0, 5, 1, 0, 4] + local + [0, 22], answers: [5, 0],
            step: request("::1", 22)),
        Exchange(
            testDescription: "5, a name", client: [5, 1, 0, 5, 1, 0, 3, 11] + name + [0x15, 0x38], answers: [5, 0],
            step: request("db.internal", 5432)),
        Exchange(
            testDescription: "5, a user and a password",
            client: [5, 1, 2, 1, 2, 0x75, 0x73, 1, 0x70, 5, 1, 0, 1, 1, 2, 3, 4, 0, 1], answers: [5, 2, 1, 0],
            step: request("1.2.3.4", 1)),
        Exchange(
            testDescription: "5, an empty user and password", client: [5, 1, 2, 1, 0, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 1],
            answers: [5, 2, 1, 0], step: request("1.2.3.4", 1)),
        Exchange(
            testDescription: "5, GSSAPI only", client: [5, 1, 1], answers: [5, 0xff], step: .failed(.noMethod)),
        Exchange(testDescription: "5, no method", client: [5, 0], answers: [5, 0xff], step: .failed(.noMethod)),
        Exchange(
            testDescription: "5, UDP", client: [5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0],
            answers: [5, 0, 5, 7] + zeros, step: .failed(.command(3))),
        Exchange(
            testDescription: "5, an unknown kind of address", client: [5, 1, 0, 5, 1, 0, 2],
            answers: [5, 0, 5, 8] + zeros, step: .failed(.addressType(2))),
        Exchange(
            testDescription: "5, an empty name", client: [5, 1, 0, 5, 1, 0, 3, 0, 0, 80],
            answers: [5, 0, 5, 1] + zeros, step: .failed(.name)),
        Exchange(
            testDescription: "5, a name with a line break", client: [5, 1, 0, 5, 1, 0, 3, 2, 0x61, 10, 0, 80],
            answers: [5, 0, 5, 1] + zeros, step: .failed(.name)),
        Exchange(
            testDescription: "5, then not 5", client: [5, 1, 0, 4, 1, 0, 1], answers: [5, 0, 5, 1] + zeros,
            step: .failed(.malformed)),
        Exchange(testDescription: "HTTP", client: [0x47], answers: [], step: .failed(.notSocks(0x47))),
    ]

    @Test(arguments: exchanges) func everyPieceGivesTheSame(_ exchange: Exchange) {
        for piece in [1, 2, 3, 7, 1000] {
            var socks = SocksNegotiation()
            // What comes behind the request is never asked for.
            var rest = (exchange.client + Array("payload".utf8))[...]
            var answers: [UInt8] = []
            while socks.wanted > 0 {
                let count = min(socks.wanted, piece, rest.count)
                socks.take(rest.prefix(count))
                rest = rest.dropFirst(count)
                answers += socks.takeAnswer()
            }
            #expect(socks.step == exchange.step && answers == exchange.answers)
            #expect(rest.elementsEqual("payload".utf8), "\(rest.count) bytes are left")
        }
    }

    @Test func aClientHasSaidItWithinTheLimit() {
        var socks = SocksNegotiation()
        let longest =
            [5, 255] + [UInt8](repeating: 2, count: 255) + [1, 255] + [UInt8](repeating: 3, count: 255) + [255]
            + [UInt8](repeating: 4, count: 255) + [5, 1, 0, 3, 255] + [UInt8](repeating: 0x61, count: 255) + [0, 1]
        #expect(longest.count == SocksNegotiation.maximumLength)
        var rest = longest[...]
        while socks.wanted > 0 {
            let count = socks.wanted
            socks.take(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        #expect(socks.request?.host.utf8.count == 255 && rest.isEmpty)
    }

    @Test(arguments: [
        (4, [0, 0x5a, 0, 0, 0, 0, 0, 0], [0, 0x5b, 0, 0, 0, 0, 0, 0]), (5, [5, 0] + zeros, [5, 5] + zeros),
    ])
    func theReplyIsTheClientsVersion(_ version: Int, _ granted: [UInt8], _ refused: [UInt8]) {
        let client: [UInt8] = version == 4 ? [4, 1, 0, 1, 1, 2, 3, 4, 0] : [5, 1, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 1]
        for (reply, expected) in [(SocksReply.granted, granted), (.connectionRefused, refused)] {
            var socks = SocksNegotiation()
            for byte in client { socks.take([byte]) }
            _ = socks.takeAnswer()
            socks.conclude(reply)
            #expect(socks.step == (reply == .granted ? .granted : .refused))
            #expect(socks.hasAnswer && socks.takeAnswer() == expected && !socks.hasAnswer)
        }
    }

    /// Words as OpenSSH, dropbear, AsyncSSH, paramiko and Go's servers send them.
    @Test(arguments: [
        (OpenFailure.administrativelyProhibited, "open failed", SocksReply.notAllowed),
        (.unknownChannelType, "", .failure), (.resourceShortage, "Connection refused", .failure),
        (.connectFailed, "Connection refused", .connectionRefused),
        (.connectFailed, "dial tcp 127.0.0.1:1: connect: connection refused", .connectionRefused),
        (.connectFailed, "Network is unreachable", .networkUnreachable),
        (.connectFailed, "No route to host", .hostUnreachable),
        (.connectFailed, "Connection timed out", .hostUnreachable),
        (.connectFailed, "Name or service not known", .hostUnreachable),
        (.connectFailed, "Temporary failure in name resolution", .hostUnreachable),
        (.connectFailed, "lookup x: no such host", .hostUnreachable), (.connectFailed, "", .failure),
        (.connectFailed, "something else", .failure),
    ])
    func refusalsOfChannels(_ reason: OpenFailure, _ words: String, _ reply: SocksReply) {
        #expect(SocksReply(reason, PeerText(words)) == reply)
    }

    @Test func permissionsAreComparedAsTheyAreWritten() {
        func covers(_ host: String?, _ port: UInt16?) -> Bool {
            PermittedTarget(host: host, port: port).covers(host: "db", port: 5432)
        }
        #expect(covers(nil, nil) && covers("db", nil) && covers(nil, 5432) && covers("db", 5432))
        #expect(!covers("DB", 5432) && !covers("db.", 5432) && !covers("db", 5433) && !covers("d*", 5432))
    }

    @Test func aNameIsSafeToShow() {
        #expect(SocksRequest(host: "a\u{1b}[2J", port: 1).description == #"a\u{1b}[2J:1"#)
        #expect(SocksRequest(host: "::1", port: 1).description == "[::1]:1")
    }
}

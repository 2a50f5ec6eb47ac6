import CulvertConfig
import CulvertPlan
import CulvertSSH
import Testing

@testable import CulvertControl

/// Messages and forwards of the mux protocol, beside what OpenSSH 9.2's `ssh -O` wrote to a socket.
@Suite struct MuxMessageTests {
    private func bytes(_ text: String) -> [UInt8] {
        text.split(separator: " ").map { UInt8($0, radix: 16)! }
    }

    /// Recorded: `ssh -O forward -S … -L 1:a:2`, from its greeting on.
    @Test func whatSSHWrites() throws {
        var stream = MuxStream()
        stream.append(bytes("00 00 00 08 00 00 00 01 00 00 00 04"))
        stream.append(
            bytes(
                "00 00 00 1d 10 00 00 06 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 00 00 00 01 61 00 00 00 02"))
        let hello = try #require(try stream.take())
        #expect(try MuxRequest(hello) == .hello(version: 4))
        let forward = try #require(try stream.take())
        #expect(try MuxRequest(forward) == .openForward(0, muxForward("-L", "1:a:2")))
        #expect(try stream.take() == nil && stream.count == 0)
        #expect(try MuxRequest.openForward(0, muxForward("-L", "1:a:2")).packet.dropFirst(4) == forward[...])
    }

    @Test func everyMessageIsReadAsItWasWritten() throws {
        let end = MuxForward.End(host: "/run/s", port: nil)
        let requests: [MuxRequest] = [
            .hello(version: 4), .newSession(1), .aliveCheck(2), .terminate(3), .stopListening(4), .proxy(5),
            .unknown(6),
            .unknownForward(7), .openForward(8, try muxForward("-R", "*:0:a:2")),
            .closeForward(9, try muxForward("-L", "/a:/b")), .stdioForward(10, end),
        ]
        for request in requests { #expect(try MuxRequest(Array(request.packet.dropFirst(4))) == request) }
        let replies: [MuxReply] = [
            .hello(version: 4), .done(1), .denied(2, "no"), .failed(3, "why"), .alive(4, process: 77),
            .remotePort(5, 8080), .sessionOpened(6, session: 0),
        ]
        for reply in replies { #expect(try MuxReply(Array(reply.packet.dropFirst(4))) == reply) }
    }

    /// Cut anywhere it is no message; a text with a zero, a port of 17 bits and too long a message are none either.
    @Test func whatIsNoMessage() throws {
        let whole = Array(MuxRequest.openForward(1, try muxForward("-L", "host:1:a:2")).packet.dropFirst(4))
        for count in 0..<whole.count {
            #expect(throws: SSHError.self) { try MuxRequest(Array(whole[..<count])) }
        }
        var zero = whole
        zero[whole.firstIndex(of: UInt8(ascii: "h"))!] = 0
        #expect(throws: SSHError.self) { try MuxRequest(zero) }
        var large = whole
        large[whole.count - 3] = 1
        #expect(throws: SSHError.self) { try MuxRequest(large) }
        var stream = MuxStream()
        stream.append([0, 4, 0, 1])
        #expect(throws: SSHError.self) { try stream.take() }
    }

    static let meanings: [(String, String, String, UInt32, String, UInt32)] = [
        ("-L", "1:a:2", "", 1, "a", 2), ("-L", "*:1:a:2", "*", 1, "a", 2), ("-L", ":1:a:2", "*", 1, "a", 2),
        ("-L", "localhost:1:a:2", "localhost", 1, "a", 2), ("-L", "[::1]:1:[fe80::1]:2", "::1", 1, "fe80::1", 2),
        ("-L", "/a:/b", "/a", 0xffff_fffe, "/b", 0xffff_fffe), ("-D", "1080", "", 1080, "socks", 0),
        ("-R", "1080", "", 1080, "socks", 0), ("-R", "0:a:2", "", 0, "a", 2),
        ("-R", "/a:b:2", "/a", 0xffff_fffe, "b", 2),
    ]

    @Test(arguments: meanings)
    func aForward(
        _ flag: String, _ text: String, _ host: String, _ port: UInt32, _ target: String, _ targetPort: UInt32
    ) throws {
        let forward = try muxForward(flag, text)
        #expect(forward.listen.host == host && forward.listen.mark == port)
        #expect(forward.connect.host == target && forward.connect.mark == targetPort)
        // It means what it means where it was typed.
        let kind: ForwardSpecification.Kind = flag == "-L" ? .local : flag == "-R" ? .remote : .dynamic
        let typed = try ForwardParser.parse(text, kind: kind)
        let meaning = try #require(forward.meaning(usual))
        let same: TunnelForward =
            flag == "-R" ? .reverse(typed.reverseForward(usual)) : .direct(typed.localForward(usual))
        #expect(meaning.isSame(as: same))
    }

    @Test func whatIsNoForward() {
        func forward(_ kind: MuxForward.Kind, _ host: String, _ port: UInt16?, _ target: String, _ targetPort: UInt16?)
            -> TunnelForward?
        {
            MuxForward(
                kind: kind, listen: .init(host: host, port: port), connect: .init(host: target, port: targetPort)
            ).meaning(usual)
        }
        #expect(forward(.local, "", 1, "a", 0) == nil && forward(.local, "", 1, "", 2) == nil)
        #expect(forward(.dynamic, "/s", nil, "", 0) == nil && forward(.local, "", nil, "a", 2) == nil)
        #expect(forward(.local, String(repeating: "a", count: 108), nil, "a", 2) == nil)
        #expect(forward(.local, "", 1, String(repeating: "a", count: 1025), 2) == nil)
        #expect(forward(.remote, "", 1, "socks", 0) != nil && forward(.local, "", 0, "a", 2) != nil)
        // What is shown of it is one line.
        let odd = MuxForward(kind: .local, listen: .init(host: "a\nb", port: 1), connect: .init(host: "c", port: 2))
        #expect(!odd.text.contains("\n"))
    }
}

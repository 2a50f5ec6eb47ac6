import CulvertPlan
import Testing

@testable import CulvertConfig

@Suite struct ForwardTests {
    struct Good: Sendable, CustomTestStringConvertible {
        let text: String
        let listen: ListenEndpoint
        let target: Target
        init(_ text: String, _ listen: ListenEndpoint, _ target: Target) {
            self.text = text
            self.listen = listen
            self.target = target
        }
        var testDescription: String { text }
    }

    /// What both flags read alike.
    static let both: [Good] = [
        Good("1:a:2", .tcp(bind: .default, port: 1), .tcp(host: "a", port: 2)),
        Good("65535:db.internal:5432", .tcp(bind: .default, port: 65535), .tcp(host: "db.internal", port: 5432)),
        Good("127.0.0.1:1:a:2", .tcp(bind: .address("127.0.0.1"), port: 1), .tcp(host: "a", port: 2)),
        Good("localhost:1:a:2", .tcp(bind: .loopback, port: 1), .tcp(host: "a", port: 2)),
        Good("*:1:a:2", .tcp(bind: .everywhere, port: 1), .tcp(host: "a", port: 2)),
        Good(":1:a:2", .tcp(bind: .everywhere, port: 1), .tcp(host: "a", port: 2)),
        Good("[]:1:a:2", .tcp(bind: .everywhere, port: 1), .tcp(host: "a", port: 2)),
        Good("[::1]:1:[::2]:2", .tcp(bind: .address("::1"), port: 1), .tcp(host: "::2", port: 2)),
        Good("1:[fe80::1%eth0]:2", .tcp(bind: .default, port: 1), .tcp(host: "fe80::1%eth0", port: 2)),
        Good("[a]:1:[b]:2", .tcp(bind: .address("a"), port: 1), .tcp(host: "b", port: 2)),
        Good(#"fe80\:\:1:1:a:2"#, .tcp(bind: .address("fe80::1"), port: 1), .tcp(host: "a", port: 2)),
        Good("/run/s:a:2", .unix(path: "/run/s"), .tcp(host: "a", port: 2)),
        Good("/run/s:[::1]:2", .unix(path: "/run/s"), .tcp(host: "::1", port: 2)),
        Good("1:/run/t", .tcp(bind: .default, port: 1), .unix(path: "/run/t")),
        Good("b:1:/run/t", .tcp(bind: .address("b"), port: 1), .unix(path: "/run/t")),
        Good("[::1]:1:/run/t", .tcp(bind: .address("::1"), port: 1), .unix(path: "/run/t")),
        Good("*:1:/run/t", .tcp(bind: .everywhere, port: 1), .unix(path: "/run/t")),
        Good("/run/s:/run/t", .unix(path: "/run/s"), .unix(path: "/run/t")),
        Good("./s:a:2", .unix(path: "./s"), .tcp(host: "a", port: 2)),
        Good(#"/run/a\:b:/run/t"#, .unix(path: "/run/a:b"), .unix(path: "/run/t")),
        Good(
            "/run/\(String(repeating: "x", count: 102)):a:2",
            .unix(path: "/run/" + String(repeating: "x", count: 102)), .tcp(host: "a", port: 2)),
        Good("[/run/s]:[/run/t]", .unix(path: "/run/s"), .unix(path: "/run/t")),
        Good("[/run/a:b]:[c]:[2]", .unix(path: "/run/a:b"), .tcp(host: "c", port: 2)),
        Good("[1]:[/run/a:b]", .tcp(bind: .default, port: 1), .unix(path: "/run/a:b")),
        Good("1:a b;$(c)'\"|é:2", .tcp(bind: .default, port: 1), .tcp(host: "a b;$(c)'\"|é", port: 2)),
        Good("1:[a/b]:2", .tcp(bind: .default, port: 1), .tcp(host: "a/b", port: 2)),
        Good("1:-a:2", .tcp(bind: .default, port: 1), .tcp(host: "-a", port: 2)),
        Good("a b:1:c:2", .tcp(bind: .address("a b"), port: 1), .tcp(host: "c", port: 2)),
        Good("1/a/2", .tcp(bind: .default, port: 1), .tcp(host: "a", port: 2)),
        Good("lo/1/a/2", .tcp(bind: .address("lo"), port: 1), .tcp(host: "a", port: 2)),
        Good("::1/1/::2/2", .tcp(bind: .address("::1"), port: 1), .tcp(host: "::2", port: 2)),
        Good("[::1]/1/[::2]/2", .tcp(bind: .address("::1"), port: 1), .tcp(host: "::2", port: 2)),
        Good("*/1/a/2", .tcp(bind: .everywhere, port: 1), .tcp(host: "a", port: 2)),
    ]

    @Test(arguments: both) func readsLocal(_ good: Good) throws {
        let expected = forward(.local, good.listen, good.target, good.text)
        #expect(try ForwardParser.parse(good.text, kind: .local) == expected)
    }

    @Test(arguments: both) func readsRemote(_ good: Good) throws {
        let expected = forward(.remote, good.listen, good.target, good.text)
        #expect(try ForwardParser.parse(good.text, kind: .remote) == expected)
    }

    @Test func portZeroIsForWhoeverListensToChoose() throws {
        let zero = try ForwardParser.parse("0:a:2", kind: .remote)
        #expect(zero.listen == .tcp(bind: .default, port: 0))
        #expect(try ForwardParser.parse("*:0:a:2", kind: .remote).listen == .tcp(bind: .everywhere, port: 0))
        let here = try tunnel(["-L", "0:a:2", "-D", "*:0", "-L", "[::1]:0:a:2", "-L", "1:a:2", "-L/s:/t", "h"]).plan
        #expect(here.forwards.map(\.choosesPort) == [true, true, true, false, false])
    }

    static let form = "give [bind_address:]port:host:hostport"
    static let bad: [(String, String)] = [
        ("-L", ": empty: \(form)"),
        ("-L 99", ": no target: \(form)"),
        ("-L /run/s", ": no target: \(form)"),
        ("-L 1:localhost", ": no target port: \(form)"),
        ("-L localhost:1", ": no target port: \(form)"),
        ("-L 1:", ": no target port: \(form)"),
        ("-L /a:b", ": no target port: \(form)"),
        ("-L x:a:2", ": listening port 'x' is not a port: give a number from 0, for any, to 65535"),
        ("-L 70000:a:2", ": listening port '70000' is not a port: give a number from 0, for any, to 65535"),
        ("-L -1:a:2", ": listening port '-1' is not a port: give a number from 0, for any, to 65535"),
        ("-L 1 a:2", ": no target port: \(form)"),
        ("-L 1:a:0", ": target port '0' is not a port: give a number from 1 to 65535"),
        ("-L 1:a:65536", ": target port '65536' is not a port: give a number from 1 to 65535"),
        ("-L 1:a:", ": target port '' is not a port: give a number from 1 to 65535"),
        ("-L 1::2", ": no target host: give a name or an address"),
        ("-L 1:a\tb:2", ": target host 'a\\u{9}b' is not printable"),
        ("-L 1:a\u{202e}b:2", ": target host 'a\\u{202e}b' is not printable"),
        ("-L a\u{7f}:1:c:2", ": bind address 'a\\u{7f}' is not printable"),
        ("-L ::1:2:a:3", ": too many fields: \(form), with an IPv6 address in brackets, for example [::1]"),
        ("-L 1:::1:2", ": too many fields: \(form), with an IPv6 address in brackets, for example [::1]"),
        ("-L [::1:1:a:2", ": '[' without ']'"),
        ("-L [::1]1:a:2", ": ':' is missing after ']'"),
        ("-L a:/p:3:4", ": listening port '/p' is not a port: give a number from 0, for any, to 65535"),
        ("-L 1:a:2:/p", ": a path where none can stand: \(form), port:/path, /path:host:hostport or /path:/path"),
        ("-L 1:a:2/", ": listening port 'a' is not a port: give a number from 0, for any, to 65535"),
        ("-D x", ": no port to listen on: give [bind_address:]port"),
        ("-D 1:a:2", ": SOCKS clients name the target: give [bind_address:]port"),
        ("-W a", ": no host and port: give host:port"),
        ("-W a:0", ": target port '0' is not a port: give a number from 1 to 65535"),
        ("-W 1:a:2", ": no host and port: give host:port"),
        ("-W /a:1", ": no host and port: give host:port"),
        ("-R a:b", ": no target port: \(form), or [bind_address:]port for SOCKS"),
        ("-R a:0:b:0", ": target port '0' is not a port: give a number from 1 to 65535"),
    ]

    @Test(arguments: bad) func refusesWithOneLine(_ line: String, _ cause: String) {
        let flag = String(line.prefix(2))
        let text = String(line.dropFirst(3))
        #expect(fault([flag, text, "h"]) == "\(flag) \(text)\(cause)".oneLine)
    }

    @Test func dynamicForwardsHaveOneEnd() throws {
        let ends: [(String, ListenEndpoint)] = [
            ("1080", .tcp(bind: .default, port: 1080)), ("localhost:1080", .tcp(bind: .loopback, port: 1080)),
            ("*:1080", .tcp(bind: .everywhere, port: 1080)), (":1080", .tcp(bind: .everywhere, port: 1080)),
            ("[::1]:1080", .tcp(bind: .address("::1"), port: 1080)),
        ]
        for (text, listen) in ends {
            #expect(try ForwardParser.parse(text, kind: .dynamic) == forward(.dynamic, listen, .requested, text))
            #expect(try ForwardParser.parse(text, kind: .remote) == forward(.remote, listen, .requested, text))
        }
        #expect(try ForwardParser.parse("*:0", kind: .remote).listen == .tcp(bind: .everywhere, port: 0))
        for kind in [ForwardSpecification.Kind.remote, .dynamic] {
            #expect(try ForwardParser.parse("/run/s", kind: kind).listen == .unix(path: "/run/s"))
        }
        let typed = try tunnel(["-D1", "-o", "DynamicForward=[::1]:2", "-R", "3", "h"]).forwards
        #expect(typed.map(\.kind) == [.dynamic, .dynamic, .remote])
    }

    @Test func standardStreamsAreTheOnlyForward() throws {
        let typed = try tunnel(["-W", "[::1]:22", "-L1:a:2", "-D3", "-o", "ClearAllForwardings=yes", "h"])
        #expect(typed.forwards == [forward(.streams, .standardStreams, .tcp(host: "::1", port: 22), "[::1]:22")])
        #expect(
            typed.notes == [
                "-L 1:a:2 is left out: -W is the only forward", "-D 3 is left out: -W is the only forward",
            ])
        #expect(try tunnel(["-W/run/s", "h"]).forwards.first?.target == .unix(path: "/run/s"))
        #expect(fault(["-Wa:1", "-Wb:2", "h"]) == "-W b:2: there is only one standard input: give one -W")
        #expect(fault(["-f", "-Wa:1", "h"]) == "-f: -W needs standard input and output: leave it out")
        #expect(
            fault(["--links=2", "-Wa:1", "h"])
                == "--links 2: -W is one connection, and goes through one link: leave it out")
    }

    @Test func longPathsAndHostsAreRefused() {
        let path = "/" + String(repeating: "x", count: 107)
        #expect(
            fault(["-L", "\(path):a:2", "h"]) == "-L \(path):a:2: socket path of 108 bytes: at most 107 are possible")
        #expect(fault(["-L", "1:\(path)", "h"]) == "-L 1:\(path): socket path of 108 bytes: at most 107 are possible")
        let host = String(repeating: "h", count: 1025)
        #expect(
            fault(["-L", "1:\(host):2", "h"]) == "-L 1:\(host):2: target host of 1025 bytes: at most 1024 are possible")
    }

    @Test func pathsAreExpandedAndMeasuredAfterwards() throws {
        let forwards = try tunnel(["-L", "~/s:/run/%r-%p", "-R", "${KEYS}/s:a:2", "-p7", "h"]).forwards
        #expect(forwards[0].listen == .unix(path: "/home/ann/s"))
        #expect(forwards[0].target == .unix(path: "/run/ann-7"))
        #expect(forwards[1].listen == .unix(path: "/keys/s"))
        let long = "~/" + String(repeating: "x", count: 105)
        #expect(
            fault(["-L", "\(long):a:2", "h"]) == "-L \(long):a:2: socket path of 115 bytes: at most 107 are possible")
    }

    @Test func bindAddressesMeanWhatOpenSSHMakesOfThem() {
        let table: [(BindAddress, String, LocalBinding, LocalBinding)] = [
            (.default, "localhost", .loopback, .everywhere), (.loopback, "localhost", .loopback, .loopback),
            (.everywhere, "", .everywhere, .everywhere),
            (.address("10.0.0.1"), "10.0.0.1", .address("10.0.0.1"), .address("10.0.0.1")),
        ]
        for (bind, remote, closed, open) in table {
            #expect(bind.remoteBindAddress == remote)
            #expect(bind.localBinding(gatewayPorts: false) == closed)
            #expect(bind.localBinding(gatewayPorts: true) == open)
        }
    }
}

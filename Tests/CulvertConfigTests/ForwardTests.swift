import Testing

@testable import CulvertConfig

@Suite struct ForwardTests {
    struct Good: Sendable, CustomTestStringConvertible {
        let text: String
        let listen: ListenEndpoint
        let target: TargetEndpoint
        init(_ text: String, _ listen: ListenEndpoint, _ target: TargetEndpoint) {
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

    @Test func portZeroIsForRemoteOnly() throws {
        let zero = try ForwardParser.parse("0:a:2", kind: .remote)
        #expect(zero.listen == .tcp(bind: .default, port: 0))
        #expect(try ForwardParser.parse("*:0:a:2", kind: .remote).listen == .tcp(bind: .everywhere, port: 0))
        #expect(fault(["-L", "0:a:2", "h"]) == "-L 0:a:2: port 0 is for -R, where the server chooses: give the port")
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
        ("-L x:a:2", ": listening port 'x' is not a port: give a number from 1 to 65535"),
        ("-L 70000:a:2", ": listening port '70000' is not a port: give a number from 1 to 65535"),
        ("-L -1:a:2", ": listening port '-1' is not a port: give a number from 1 to 65535"),
        ("-L [1]:a:2", ": listening port '1' is not a port: give a number from 1 to 65535"),
        ("-L 1 a:2", ": no target port: \(form)"),
        ("-L 1:a:0", ": target port '0' is not a port: give a number from 1 to 65535"),
        ("-L 1:a:65536", ": target port '65536' is not a port: give a number from 1 to 65535"),
        ("-L 1:a:", ": target port '' is not a port: give a number from 1 to 65535"),
        ("-L 1::2", ": no target host: give a name or an address"),
        ("-L 1:a b:2", ": target host 'a b' is not a name or an address"),
        ("-L 1:-a:2", ": target host '-a' is not a name or an address"),
        ("-L 1:[a/b]:2", ": target host 'a/b' is not a name or an address"),
        ("-L a b:1:c:2", ": bind address 'a b' is not a name or an address"),
        ("-L ::1:2:a:3", ": too many fields: \(form), with an IPv6 address in brackets, for example [::1]"),
        ("-L 1:::1:2", ": too many fields: \(form), with an IPv6 address in brackets, for example [::1]"),
        ("-L [::1:1:a:2", ": '[' without ']'"),
        ("-L [::1]1:a:2", ": ':' is missing after ']'"),
        ("-L a:/p:3:4", ": listening port '/p' is not a port: give a number from 1 to 65535"),
        ("-L 1:a:2:/p", ": a path where none can stand: \(form), port:/path, /path:host:hostport or /path:/path"),
        ("-L 1:a:2/", ": listening port 'a' is not a port: give a number from 1 to 65535"),
        ("-R 99", ": a dynamic forward (no target) is not supported yet: \(form)"),
        ("-R localhost:99", ": a dynamic forward (no target) is not supported yet: \(form)"),
        ("-R *:0", ": a dynamic forward (no target) is not supported yet: \(form)"),
        ("-R [::1]:99", ": a dynamic forward (no target) is not supported yet: \(form)"),
        ("-R /run/s", ": a dynamic forward (no target) is not supported yet: \(form)"),
        ("-R a:b", ": no target port: \(form)"),
        ("-R a:0:b:0", ": target port '0' is not a port: give a number from 1 to 65535"),
    ]

    @Test(arguments: bad) func refusesWithOneLine(_ line: String, _ cause: String) {
        let flag = String(line.prefix(2))
        let text = String(line.dropFirst(3))
        #expect(fault([flag, text, "h"]) == "\(flag) \(text)\(cause)")
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

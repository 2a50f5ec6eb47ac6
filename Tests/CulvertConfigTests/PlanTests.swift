import CulvertPlan
import Testing

@testable import CulvertConfig

/// What is meant by what was typed.
@Suite struct PlanTests {
    private func plan(_ arguments: String...) throws -> TunnelPlan { try tunnel(arguments + ["ann@server"]).plan }

    @Test func forwardsAreMeantAsTyped() throws {
        let typed = try plan(
            "-L", "1:a:2", "-R", "3:b:4", "-D", "[::1]:5", "-L", "*:6:[::2]:7", "-L", "localhost:8:/s", "-R", "*:0:c:9",
            "-R", "/r:d:10", "-R", "11")
        let a = Target.tcp(host: "a", port: 2)
        #expect(
            typed.forwards == [
                LocalForward(listen: .loopback(port: 1), target: a, text: "-L 1:a:2"),
                LocalForward(listen: .address("::1", port: 5), target: .requested, text: "-D [::1]:5"),
                LocalForward(
                    listen: .everywhere(port: 6), target: .tcp(host: "::2", port: 7), text: "-L *:6:[::2]:7"),
                LocalForward(listen: .loopback(port: 8), target: .unix(path: "/s"), text: "-L localhost:8:/s"),
            ])
        #expect(
            typed.reverse == [
                ReverseForward(
                    listen: .tcp(address: "localhost", port: 3), target: .tcp(host: "b", port: 4), text: "-R 3:b:4"),
                ReverseForward(
                    listen: .tcp(address: "", port: 0), target: .tcp(host: "c", port: 9), text: "-R *:0:c:9"),
                ReverseForward(listen: .unix(path: "/r"), target: .tcp(host: "d", port: 10), text: "-R /r:d:10"),
                ReverseForward(listen: .tcp(address: "localhost", port: 11), target: .requested, text: "-R 11"),
            ])
    }

    @Test func whatIsSaidOfAllForwardsCounts() throws {
        let open = try plan("-g", "-L", "1:a:2", "-L", "localhost:3:a:2", "-o", "ExitOnForwardFailure=yes")
        #expect(open.forwards.map(\.listen) == [.everywhere(port: 1), .loopback(port: 3)] && open.exitOnForwardFailure)
        let sockets = try plan(
            "-L", "/a:b:1", "-R", "7", "-o", "StreamLocalBindMask=0111", "-o", "StreamLocalBindUnlink=yes", "-o",
            "PermitRemoteOpen=db:5432 *:80")
        #expect(sockets.forwards.map(\.listen) == [.unix(path: "/a", modeMask: 0o111, unlinksFirst: true)])
        let permitted = try #require(sockets.reverse.first?.permitted)
        #expect(permitted == [PermittedTarget(host: "db", port: 5432), PermittedTarget(host: nil, port: 80)])
        #expect(permitted[0].covers(host: "db", port: 5432) && !permitted[0].covers(host: "DB", port: 5432))
        #expect(permitted[1].covers(host: "any", port: 80) && !permitted[1].covers(host: "any", port: 81))
    }

    @Test func standardStreamsAreTheOnlyForward() throws {
        let streams = try plan("-L", "1:a:2", "-W", "b:3")
        #expect(streams.forwards.map(\.text) == ["-W b:3"] && streams.forwards.allSatisfy(\.isStandardStreams))
        #expect(streams.exitOnForwardFailure && streams.links == 1)
    }

    @Test func methodsAreThoseThatMayBeUsed() throws {
        let some = try plan(
            "-L", "1:a:2", "-o", "PreferredAuthentications=hostbased,password,publickey,keyboard-interactive", "-o",
            "PubkeyAuthentication=no")
        #expect(some.server.login.methods == [.password, .keyboardInteractive])
    }

    @Test(arguments: [
        (["h"], "ann@h"), (["bob@H"], "bob@H"), (["-p", "33", "H"], "ann@h:33"), (["-p", "33", "::1"], "ann@[::1]:33"),
        (["-o", "HostName=db.example", "h"], "ann@h"),
        (["-o", "HostName=db.example", "-p", "33", "h"], "ann@db.example:33"),
    ]) func aDestinationIsTold(_ line: [String], _ text: String) throws {
        #expect(try tunnel(["-L", "1:a:2"] + line).plan.destination == text)
    }

    /// A reload is the difference of two plans: what means the same is the same.
    @Test func plansAreCompared() throws {
        let one = try plan("-L", "1:a:2", "-c", "aes256-gcm@openssh.com", "--hold", "1m")
        #expect(try plan("-o", "Ciphers=aes256-gcm@openssh.com", "--hold=60", "-o", "LocalForward=1:a:2") == one)
        #expect(try plan("-L", "1:a:2", "-c", "aes256-gcm@openssh.com", "--hold", "2m") != one)
        #expect(try plan("-L", "1:a:2", "-c", "aes128-gcm@openssh.com", "--hold", "1m") != one)
        #expect(try plan("-L", "1:a:3", "-c", "aes256-gcm@openssh.com", "--hold", "1m") != one)
        #expect(try plan("-v", "-L", "1:a:2", "-c", "aes256-gcm@openssh.com", "--hold", "1m") == one)
    }

    /// That a file gave a list is not part of what is meant.
    @Test func aListIsTheSameFromEverywhere() throws {
        var access = ConfigurationAccess.nothing
        let file = ConfigurationAccess.File(bytes: Array("Ciphers aes256-ctr\n".utf8), owner: 1000, mode: 0o600)
        access.read = { $0 == "/config" ? .success(file) : .failure(.missing) }
        let line = ["-F", "/config", "-L", "1:a:2", "ann@server"]
        guard case .tunnel(let read) = try parseCommandLine(line, environment: testEnvironment, access: access) else {
            throw NotATunnel()
        }
        #expect(try plan("-L", "1:a:2", "-c", "aes256-ctr") == read.plan)
    }
}

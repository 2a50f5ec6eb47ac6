import CulvertIO
import CulvertPlan
import Foundation
import Testing

@testable import CulvertRelay

/// `--port-file`, and how a port is chosen for several addresses.
@Suite struct PortFileTests {
    private let path = FileManager.default.temporaryDirectory.path + "/culvert-ports-\(UUID().uuidString)"

    private func plan() -> TunnelPlan {
        var plan = TunnelPlan(
            server: ServerPlan(
                destination: CulvertPlan.Destination(host: "h", typedHost: "h", port: 22, user: "u"), home: "/"))
        let target = Target.tcp(host: "db", port: 5432)
        plan.forwards = [
            LocalForward(listen: .loopback(port: 0), target: target, text: "-L 0:db:5432"),
            LocalForward(
                listen: .unix(path: "/s", modeMask: 0o177, unlinksFirst: false), target: target, text: "-L /s:db:5432"),
        ]
        plan.reverse = [
            ReverseForward(listen: .tcp(address: "localhost", port: 0), target: target, text: "-R 0:db:5432")
        ]
        return plan
    }

    @Test func itIsWrittenWholeAndFollowsWhatHappens() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data("old".utf8).write(to: URL(fileURLWithPath: path))
        let journal = Journal(level: .debug) { Issue.record("\($0.text)") }
        try WholeFile.probe(path)
        var file = PortFile(path: path, plan())
        #expect(!FileManager.default.fileExists(atPath: path), "what is left from before misleads nobody")
        file.take(
            .listening(forward: 0, try SocketAddress.resolve(host: "127.0.0.1", port: 77, numeric: true)[0]), journal)
        file.take(.listening(forward: 1, try #require(SocketAddress(path: "/s"))), journal)
        #expect(!FileManager.default.fileExists(atPath: path), "not before all of it stands")
        file.write(journal)
        #expect(try read() == "77 -L 0:db:5432\n- -L /s:db:5432\n- -R 0:db:5432\n")
        file.take(.reverseStands(forward: 0, port: 88), journal)
        #expect(try read() == "77 -L 0:db:5432\n- -L /s:db:5432\n88 -R 0:db:5432\n")
        file.take(.reverseFailed(forward: 0, .refused), journal)
        #expect(try read().hasSuffix("\n- -R 0:db:5432\n"))
        file.remove()
        #expect(!FileManager.default.fileExists(atPath: path))
        file.write(journal)
        let beside = try FileManager.default.contentsOfDirectory(atPath: (path as NSString).deletingLastPathComponent)
        #expect(beside.filter { $0.hasPrefix((path as NSString).lastPathComponent) }.count == 1, "no draft is left")
    }

    @Test func itFollowsForwardsThatAreAddedAndCancelled() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let journal = Journal(level: .debug) { Issue.record("\($0.text)") }
        var forwards = TunnelForwards(plan())
        var file = PortFile(path: path, plan())
        file.write(journal)
        let name = forwards.add(
            .direct(LocalForward(listen: .loopback(port: 0), target: .requested, text: "-D 0")))
        file.take(
            .listening(forward: 2, try SocketAddress.resolve(host: "127.0.0.1", port: 99, numeric: true)[0]), journal)
        file.add(name, forwards)
        file.remove(.direct(1))
        file.remove(.reverse(0))
        file.follow(journal)
        #expect(try read() == "- -L 0:db:5432\n99 -D 0\n")
        file.add(.reverse(0), forwards)
        file.follow(journal)
        #expect(try read() == "- -L 0:db:5432\n99 -D 0\n- -R 0:db:5432\n")
    }

    /// The same forward, however it is typed, has one name, so that only new ones take room.
    @Test func aForwardHasOneName() {
        var forwards = TunnelForwards(plan())
        let socket = LocalForward(
            listen: .unix(path: "/s", modeMask: 0, unlinksFirst: true), target: .tcp(host: "db", port: 5432), text: "x")
        #expect(forwards.name(of: .direct(socket)) == .direct(1))
        let other = LocalForward(
            listen: .unix(path: "/s", modeMask: 0, unlinksFirst: true), target: .requested, text: "x")
        #expect(forwards.name(of: .direct(other)) == nil)
        #expect(forwards.add(.direct(other)) == .direct(2) && forwards.name(of: .direct(other)) == .direct(2))
        let reverse = ReverseForward(listen: .unix(path: "/s"), target: .requested, text: "x")
        #expect(forwards.name(of: .reverse(reverse)) == nil && forwards.add(.reverse(reverse)) == .reverse(1))
    }

    private func read() throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    /// A path of a socket may have any character: it is one line all the same.
    @Test func aLineIsALine() {
        var odd = plan()
        odd.forwards[1].text = "-L /s\n99:db:5432"
        #expect(PortFile(path: path, odd).text.split(separator: "\n").count == 3)
    }

    @Test func aLinkIsFollowed() throws {
        let link = path + ".link"
        defer { for each in [path, link] { try? FileManager.default.removeItem(atPath: each) } }
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        try Data("old".utf8).write(to: URL(fileURLWithPath: path))
        try WholeFile.replace(link, with: "new")
        #expect(try read() == "new")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == path)
    }

    @Test func whatIsNoFileIsWrittenToAndStays() throws {
        try WholeFile.replace("/dev/null", with: "x")
        WholeFile.remove("/dev/null")
        #expect(FileManager.default.fileExists(atPath: "/dev/null"))
        #expect(throws: IOError.self) { try WholeFile.replace("\(path)/none", with: "x") }
        #expect(throws: IOError.self) { try WholeFile.probe("\(path)/none") }
    }

    /// Both addresses have the port that was chosen, which nobody else has.
    @Test func oneIsChosenForEveryAddress() throws {
        var ports: Set<UInt16> = []
        var opened: [Descriptor] = []
        defer { opened.forEach(SocketOption.close) }
        for listen in [LocalForward.Listen.loopback(port: 0), .everywhere(port: 0), .address("127.0.0.1", port: 0)] {
            let forward = LocalForward(listen: listen, target: .requested, text: "-D 0")
            let sockets = try Listening.open(forward, family: .any)
            opened += sockets.map(\.descriptor)
            let chosen = Set(sockets.map(\.address.port))
            #expect(chosen.count == 1 && !chosen.contains(0) && ports.isDisjoint(with: chosen))
            ports.formUnion(chosen)
        }
    }
}

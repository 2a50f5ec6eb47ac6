import CulvertPlan
import Testing

@testable import CulvertConfig

/// CanonicalizeHostname and its family, with a resolver of the tests' own; ssh's answers without one are in the corpus.
@Suite struct HostNameTests {
    /// Names that were asked for, and what they are.
    private static func access(
        _ text: String, _ names: [String: HostLookup], isReadAgain: Bool = false
    ) -> (access: ConfigurationAccess, asked: MemoryFiles.Commands) {
        let asked = MemoryFiles.Commands()
        var access = MemoryFiles([FileTests.user: text]).access
        access.isReadAgain = isReadAgain
        access.lookUp = { name, _ in
            asked.add(name)
            return names[name] ?? .notFound
        }
        return (access, asked)
    }

    private static func tunnel(_ access: ConfigurationAccess, _ line: String) throws -> TunnelConfiguration {
        let words = line.split(separator: " ").map(String.init)
        guard case .tunnel(let tunnel) = try parseCommandLine(words, environment: testEnvironment, access: access)
        else {
            throw NotATunnel()
        }
        return tunnel
    }

    private static let file = """
        CanonicalizeHostname yes
        CanonicalDomains a.example b.example.
        Match canonical host *.b.example
          Port 7
        Match canonical originalhost db
          User ann
        Host db.b.example
          ProxyCommand none
          ServerAliveInterval 9

        """

    @Test func theFirstDomainThatHasTheNameIsItAndFilesAreReadWithIt() throws {
        let (access, asked) = Self.access(Self.file, ["db.b.example.": .found(canonicalName: "db.b.example")])
        let tunnel = try Self.tunnel(access, "-L1:a:2 DB")
        #expect(
            tunnel.destination == Destination(host: "db.b.example", typedHost: "DB", port: 7, user: "ann")
                || tunnel.destination.host == "db.b.example")
        #expect(tunnel.destination.port == 7 && tunnel.connection.serverAliveInterval == .seconds(9))
        #expect(asked.list == ["db.a.example.", "db.b.example."])
        #expect(tunnel.notes.contains("CanonicalizeHostname: db is db.b.example"))
    }

    @Test(
        arguments: [
            // More dots than CanonicalizeMaxDots, an address, what a proxy will look up.
            ("x.y.z", "", [], "x.y.z"), ("127.1", "", [], "127.0.0.1"), ("::1", "", [], "::1"),
            ("db", "ProxyCommand nc %h %p\n", [], "db"),
            ("db", "Host db\nProxyJump gate\nHost *\n", ["gate.a.example.", "gate.b.example."], "db"),
            ("db", "CanonicalizeHostname no\n", [], "db"), ("unix/x", "ProxyCommand x %h\n", [], "unix/x"),
            // With a dot at its end it is whole.
            ("db.c.example.", "", ["db.c.example."], "db.c.example"),
            ("x.y.z", "CanonicalizeMaxDots 2\n", ["x.y.z.a.example.", "x.y.z.b.example."], "x.y.z"),
            ("db", "CanonicalDomains none\n", [], "db"),
            ("db", "CanonicalizeHostname always\nProxyCommand nc\n", ["db.a.example.", "db.b.example."], "db"),
        ] as [(String, String, [String], String)])
    func whatIsLookedUp(_ typed: String, _ more: String, _ asked: [String], _ host: String) throws {
        let (access, seen) = Self.access(more + Self.file, ["db.c.example.": .found(canonicalName: nil)])
        #expect(try Self.tunnel(access, "-L1:a:2 \(typed)").destination.host == host)
        #expect(seen.list == asked)
    }

    @Test func aliasesAreFollowedWhereARulePermitsIt() throws {
        let found = ["db.a.example.": HostLookup.found(canonicalName: "Node7.b.example")]
        for (rule, host) in [
            ("*.a.example:*.b.example", "node7.b.example"), ("*.b.example:*.b.example", "db.a.example"),
            ("*:*.c.example", "db.a.example"), ("none", "db.a.example"),
            ("x.org:* db.a.example:node*", "node7.b.example"),
        ] {
            let (access, _) = Self.access("CanonicalizePermittedCNAMEs \(rule)\n" + Self.file, found)
            #expect(try Self.tunnel(access, "-L1:a:2 db").destination.host == host, "\(rule)")
        }
        // A name that no domain has is looked up as it is, and where it leads may be permitted.
        let (access, asked) = Self.access(
            "CanonicalizePermittedCNAMEs db:*.b.example\n" + Self.file, ["db": .found(canonicalName: "n.b.example")])
        #expect(try Self.tunnel(access, "-L1:a:2 db").destination.host == "n.b.example")
        #expect(asked.list == ["db.a.example.", "db.b.example.", "db"])
    }

    @Test func withoutAFallbackANameMustBeFound() throws {
        let (access, _) = Self.access("CanonicalizeFallbackLocal no\n" + Self.file, [:])
        let error = #expect(throws: ConfigurationError.self) { try Self.tunnel(access, "-L1:a:2 db") }
        #expect(error?.message == "could not resolve host db in any of CanonicalDomains")
        // Another attempt may go well: not the status of a mistake.
        #expect(error?.exitCode == 255 && error?.report == "culvert: \(error?.message ?? "")")
    }

    @Test func whoCannotBeAskedIsNoAnswerLater() throws {
        let names = ["db.a.example.": HostLookup.failed("Temporary failure in name resolution")]
        let tunnel = try Self.tunnel(Self.access(Self.file, names).access, "-L1:a:2 db")
        #expect(tunnel.destination.host == "db")
        #expect(tunnel.notes.contains { $0.contains("could not resolve db.a.example.: Temporary failure") })
        let error = #expect(throws: ConfigurationError.self) {
            try Self.tunnel(Self.access(Self.file, names, isReadAgain: true).access, "-L1:a:2 db")
        }
        #expect(error?.message == "CanonicalizeHostname: db.a.example.: Temporary failure in name resolution")
    }

    // MARK: Match localnetwork

    @Test(arguments: [
        ("10.1.2.3", "10.0.0.0/8", true), ("10.1.2.3", "192.168.0.0/16,10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("fd00::7", "fd00::/8", true), ("fe80::1%eth0", "fe80::/10", true), ("fd00::7", "10.0.0.0/8,fe80::/10", false),
        ("10.1.2.3", "0.0.0.0/0", true), ("10.1.2.3", "::/0", false), ("10.1.2.3", "10.1.2.2/31", true),
    ]) func networks(_ address: String, _ list: String, _ isIn: Bool) throws {
        #expect(try NetworkList(list).contains(address) == isIn)
    }

    @Test(arguments: [
        "", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/x", "10/8", "host", "10.0.0.0/8,", "!10.0.0.0/8", "::/129",
    ])
    func whatIsNoNetwork(_ list: String) { #expect(throws: NetworkList.Cause.self) { _ = try NetworkList(list) } }

    @Test func theMachinesOwnAddresses() {
        #expect(SystemNetwork.addresses().contains("127.0.0.1"))
        #expect(SystemNetwork.lookUp("127.0.0.1", .inet) != .notFound)
        #expect(SystemNetwork.lookUp("nothing-of-that-name.invalid", .any) != .found(canonicalName: nil))
    }
}

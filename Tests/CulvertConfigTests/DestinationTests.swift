import CulvertPlan
import Testing

@testable import CulvertConfig

@Suite struct DestinationTests {
    static let good: [(String, String?, String, UInt16?)] = [
        ("server", nil, "server", nil), ("ann@server", "ann", "server", nil), ("a@b@server", "a@b", "server", nil),
        ("10.0.0.1", nil, "10.0.0.1", nil), ("::1", nil, "::1", nil), ("ann@::1", "ann", "::1", nil),
        ("[::1]", nil, "::1", nil), ("ann@[fe80::1%eth0]", "ann", "fe80::1%eth0", nil),
        ("ssh://server", nil, "server", nil), ("ssh://server/", nil, "server", nil),
        ("ssh://ann@server:33", "ann", "server", 33), ("ssh://ann@server:33/", "ann", "server", 33),
        ("SSH://server", nil, "server", nil), ("ssh://[::1]:33", nil, "::1", 33),
        ("ssh://ann@[::1]", "ann", "::1", nil),
        ("ssh://a%40b@server", "a@b", "server", nil), ("ssh://a@b@server", "a@b", "server", nil),
        ("ssh://ann;fingerprint=x@server", "ann", "server", nil), ("ssh://relay", nil, "relay", nil),
        ("user@relay", "user", "relay", nil),
    ]

    @Test(arguments: good) func reads(_ text: String, _ user: String?, _ host: String, _ port: UInt16?) throws {
        #expect(try DestinationText.parse(text) == DestinationText(user: user, host: host, port: port))
    }

    static let bad: [(String, String)] = [
        ("", "no host: give [user@]host"), ("ann@", "no host: give [user@]host"), ("@server", "no user before '@'"),
        ("ssh://", "no host: give [user@]host"), ("ssh://@server", "no user before '@'"),
        ("server:22", "the port is given with -p: server -p 22"),
        ("ann@server:2222", "the port is given with -p: ann@server -p 2222"),
        ("server:x!", "'server:x!' is not a name or an address"), ("a:b:c", "'a:b:c' is not a name or an address"),
        ("ser ver", "'ser ver' is not a name or an address"), ("a;b", "'a;b' is not a name or an address"),
        ("ann@-v", "'-v' is not a name or an address"), ("-a@server", "'-a' is not a user's name"),
        ("ssh://server:0", "'0' is not a port: give a number from 1 to 65535"),
        ("ssh://server:x!", "'x!' is not a port: give a number from 1 to 65535"),
        ("ssh://server:", "'' is not a port: give a number from 1 to 65535"),
        ("ssh://server/path", "a path means nothing here: end it after host or port"),
        ("ssh://[::g]", "'::g' is not an IPv6 address"), ("ssh://a%4@server", "'%' without two hexadecimal digits"),
    ]

    @Test(arguments: bad) func refusesWithOneLine(_ text: String, _ cause: String) {
        #expect(fault(["-L1:a:2", "--", text]) == "destination \(text): \(cause)")
    }

    /// As ssh: what stands first among -l, -p, -o and the destination wins.
    static let order: [([String], String, UInt16)] = [
        (["server"], "ann", 22), (["-l", "bob", "cid@server"], "bob", 22), (["cid@server", "-l", "bob"], "cid", 22),
        (["-p", "1", "ssh://server:2"], "ann", 1), (["ssh://server:2", "-p", "1"], "ann", 2),
        (["-oUser=dan", "-l", "bob", "server"], "dan", 22), (["-oPort=5", "-p6", "server"], "ann", 5),
        (["-p6", "-oPort=5", "-p7", "server"], "ann", 6), (["-l", "a@b", "server"], "a@b", 22),
    ]

    @Test(arguments: order) func firstWins(_ arguments: [String], _ user: String, _ port: UInt16) throws {
        let destination = try tunnel(["-L1:a:2"] + arguments).destination
        #expect(destination == Destination(host: "server", typedHost: "server", port: port, user: user))
    }

    @Test func hostNameReplacesWhatIsDialled() throws {
        let destination = try settings("-o", "HostName=%h.example.org").destination
        #expect(destination.host == "server.example.org")
        #expect(destination.typedHost == "server")
        #expect(try settings("-oHostName=[::1]").destination.host == "::1")
        #expect(
            fault(["-L1:a:2", "-oHostName=%p", "h"]) == "HostName %p: only %h and %% can stand in it")
    }

    /// Format characters hide or turn round what is read.
    @Test(arguments: ["\u{202e}", "\u{2066}", "\u{200b}", "\u{feff}", "\u{e0041}"])
    func formatCharactersAreRefused(_ character: String) throws {
        let scalar = try #require(character.unicodeScalars.first)
        let shown = "bank\\u{\(String(scalar.value, radix: 16))}moc"
        #expect(
            fault(["-L1:a:2", "--", "bank\(character)moc"])
                == "destination \(shown): '\(shown)' is not a name or an address")
    }
}

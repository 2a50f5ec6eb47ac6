/// Files made of pieces that mean something, from a seed: blocks that overlap, values that come too late, odd quoting.
enum GeneratedCorpus {
    static let cases: [CorpusCase] = (0..<200).map { seed in
        var writer = Writer(generator: SeededGenerator(state: UInt64(seed) &* 7919 &+ 1))
        return writer.make(seed)
    }

    private static let hosts = ["alpha", "beta.example.org", "gamma", "10.0.0.7", "Delta"]

    private static let blocks = [
        "Host *", "Host alpha", "Host a* g*", "Host *.org !beta*", "Host ????? 10.*", "Host !alpha *", "Host=gamma",
        "Host \"alpha\" 'Delta'", "Match all", "Match host alpha", "Match host *.org,10.*", "Match !host gamma",
        "Match user ann", "Match user root host alpha", "Match originalhost Delta,delta", "Match host target.*",
        "Match final", "Match !final host a*", "Match exec \"test %p = 22\"", "Match exec \"test %r = ann\" host *a",
        "Match host alpha exec true", "Match canonical", "Match localuser *,!nobody", "Match originalhost=alpha",
    ]

    private static let settings: [(String, [String])] = [
        ("HostName", ["%h", "target.example.org", "10.0.0.8", "%h.internal"]),
        ("Port", ["22", "2222", "33", "\"44\""]),
        ("User", ["ann", "bob", "\"ann lee\""]), ("IdentityFile", ["~/.ssh/a", "%d/.ssh/%h_%p", "\"/b c\"", "none"]),
        ("LocalForward", ["5432 db:5432", "[::1]:80 web:80", "/s/%n a:1"]),
        ("RemoteForward", ["0 a:1", "*:9 b:2", "/r /l"]),
        ("ServerAliveInterval", ["20", "1m"]), ("ServerAliveCountMax", ["2", "9"]), ("ConnectTimeout", ["5", "1m"]),
        ("StrictHostKeyChecking", ["yes", "no", "accept-new", "ask"]), ("ProxyJump", ["gate", "none", "a,u@b:3"]),
        ("ProxyCommand", ["nc %h %p", "none"]), ("HostKeyAlias", ["One", "two"]), ("LogLevel", ["ERROR", "debug2"]),
        ("UserKnownHostsFile", ["~/k", "~/k ~/%k", "none"]), ("GlobalKnownHostsFile", ["/g", "/g /h"]),
        ("SendEnv", ["A B", "LC_*", "-A", "-*"]), ("SetEnv", ["A=1 B=2", "\"C=3 4\""]),
        ("IdentitiesOnly", ["yes", "no"]),
        ("ExitOnForwardFailure", ["yes", "no"]), ("GatewayPorts", ["yes", "no"]), ("Compression", ["yes", "no"]),
        ("RekeyLimit", ["1G", "default 1h", "64M none"]), ("ControlPath", ["~/.ssh/%C", "none", "/c/%h-%k"]),
        ("ControlPersist", ["yes", "5m"]), ("AddKeysToAgent", ["yes", "confirm", "10m"]),
        ("IPQoS", ["ef", "af11 cs1"]),
        ("CertificateFile", ["~/c", "/d"]), ("AddressFamily", ["inet", "any"]), ("BindAddress", ["127.0.0.1"]),
        ("PreferredAuthentications", ["publickey", "password,publickey"]), ("IgnoreUnknown", ["Use*", "*"]),
        ("UseKeychain", ["yes"]), ("IdentityAgent", ["none", "~/agent-%u", "${CORPUS}"]),
        ("RemoteCommand", ["echo %h"]),
        ("PubkeyAuthentication", ["no", "unbound"]), ("UpdateHostKeys", ["yes", "ask"]), ("BatchMode", ["yes", "no"]),
        ("VerifyHostKeyDNS", ["yes", "ask", "no"]), ("DynamicForward", ["1080", "127.0.0.1:1081"]), ("Tunnel", ["yes"]),
        ("ClearAllForwardings", ["no", "yes"]), ("PermitRemoteOpen", ["any", "a:1 b:2"]),
        ("ForwardAgent", ["yes", "no"]),
        ("PubkeyAcceptedAlgorithms", ["ssh-ed25519", "ssh-ed25519,rsa-sha2-512"]), ("EscapeChar", ["none", "^b"]),
        ("TCPKeepAlive", ["no"]), ("RequestTTY", ["force", "no"]), ("CanonicalDomains", ["x.org y.org"]),
    ]

    private static let mistakes = ["Port x!", "Host", "Junk 1", "BatchMode maybe", "User", "Match host", "User \"a"]

    private static let lines = [
        "", "-p 7", "-l ann", "-N -v", "-oPort=9", "-oUser=ann", "-L9:z:9", "-g -4", "-oHostName=given.org", "-A -x",
    ]

    private struct Writer {
        var generator: SeededGenerator

        mutating func pick<Value>(_ values: [Value]) -> Value {
            values[Int.random(in: 0..<values.count, using: &generator)]
        }

        mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &generator) == 0 }

        mutating func line() -> String {
            let (key, values) = pick(settings)
            let name = chance(5) ? key.lowercased() : key
            // A command is not parted into words, and ssh takes one `=` before it only.
            let joint = pick([" ", " ", " ", "=", " = ", "\t"])
            let end = chance(8) && !key.hasSuffix("Command") ? " # comment" : ""
            return pick(["", "  ", "\t"]) + name + joint + pick(values) + end
        }

        mutating func text(_ count: ClosedRange<Int>) -> String {
            var lines: [String] = []
            for _ in 0..<Int.random(in: count, using: &generator) { lines.append(chance(4) ? pick(blocks) : line()) }
            if chance(12) { lines.append(pick(mistakes)) }
            return lines.map { $0 + "\n" }.joined()
        }

        mutating func make(_ seed: Int) -> CorpusCase {
            let inner = text(1...6)
            var file = text(4...24)
            if chance(3) { file += "Include @/inner\n" + text(0...6) }
            let user = chance(4) ? "ann@" : ""
            return CorpusCase("generated \(seed)", file, "\(pick(lines)) \(user)\(pick(hosts))", more: ["inner": inner])
        }
    }
}

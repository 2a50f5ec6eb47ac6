internal import CulvertSSH
internal import Scenario

/// A known_hosts file of 500 lines: read, or asked about the host in its last line. Hashed lines cost an HMAC each.
private struct KnownHostsRound: ~Copyable, Round {
    private static let lines = 500
    private let contents: [UInt8]
    private let keys: [PublicKey]
    private var known = KnownHosts()
    private let reads: Bool

    init(isHashed: Bool, reads: Bool) throws {
        self.reads = reads
        var text = ""
        var keys: [PublicKey] = []
        for number in 0..<Self.lines {
            let blob =
                Self.string("ssh-ed25519".utf8) + Self.string((0..<32).map { UInt8(truncatingIfNeeded: $0 * number) })
            let name = "host\(number).example"
            let salt = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 20)
            let hosts =
                isHashed ? HostList.hashing(name, salt: salt).text : "\(name),192.168.\(number / 256).\(number % 256)"
            text += "\(hosts) ssh-ed25519 \(Base64.encode(blob)) comment\n"
            let words = "ssh-ed25519 \(Base64.encode(blob))".utf8.split(separator: UInt8(ascii: " "))
            guard let key = PublicKey(words: words.map { ArraySlice($0) }) else { giveUp("no key") }
            keys.append(key)
        }
        contents = Array(text.utf8)
        self.keys = keys
        if !reads { known.add(contents, file: "known_hosts") }
    }

    private static func string(_ bytes: some Collection<UInt8>) -> [UInt8] {
        withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) } + bytes
    }

    mutating func prepare() { if reads { known = KnownHosts() } }

    mutating func run() {
        if reads {
            known.add(contents, file: "known_hosts")
            guard known.entries.count == Self.lines, known.malformed.isEmpty else { giveUp("a line was not read") }
        } else {
            guard case .known(let place) = known.judge(keys[Self.lines - 1], name: "host\(Self.lines - 1).example"),
                place.line == Self.lines
            else { giveUp("a host is not known") }
        }
    }
}

let knownHosts = [
    Scenario("known-hosts-read-plain") { try KnownHostsRound(isHashed: false, reads: true) },
    Scenario("known-hosts-read-hashed") { try KnownHostsRound(isHashed: true, reads: true) },
    Scenario("known-hosts-judge-plain") { try KnownHostsRound(isHashed: false, reads: false) },
    Scenario("known-hosts-judge-hashed") { try KnownHostsRound(isHashed: true, reads: false) },
]

/// What people type for an option that ssh calls otherwise.
enum OtherNames {
    /// What is to be said of an unknown long option, behind its name.
    static func hint(for name: String) -> String {
        let wanted = name.lowercased()
        if let flag = flags[wanted] { return "unknown option: ssh calls it \(flag)" }
        if let key = key(wanted) { return "unknown option: give -o \(key)=VALUE" }
        let own = LongOptionName.allCases.map(\.rawValue)
        guard let nearest = NearestName.of(wanted, among: own + flags.keys.sorted() + keys.keys.sorted()) else {
            return "unknown option"
        }
        if own.contains(nearest) { return "unknown option: did you mean --\(nearest)?" }
        return "unknown option: did you mean \(flags[nearest] ?? keys[nearest].map { "-o \($0)=VALUE" } ?? nearest)?"
    }

    private static func key(_ name: String) -> String? { keys[name] ?? keys[name.filter { $0 != "-" && $0 != "_" }] }

    private static let keys = Dictionary(
        SettingStore.knownNames.map { ($0.lowercased(), $0) }, uniquingKeysWith: { first, _ in first })

    /// Words for what ssh's letters mean.
    private static let flags = [
        "background": "-f", "bind": "-b", "bind-address": "-b", "bind-interface": "-B", "cipher": "-c", "ciphers": "-c",
        "compress": "-C", "compression": "-C", "config": "-F", "config-file": "-F", "daemon": "-f", "debug": "-v",
        "dynamic": "-D", "fork": "-f", "gateway-ports": "-g", "identity": "-i", "identity-file": "-i",
        "interface": "-B",
        "ipv4": "-4", "ipv6": "-6", "jump": "-J", "jump-host": "-J", "key": "-i", "local": "-L", "local-forward": "-L",
        "log": "-E", "log-file": "-E", "login": "-l", "mac": "-m", "macs": "-m", "no-command": "-N", "no-shell": "-N",
        "option": "-o", "port": "-p", "proxy-jump": "-J", "query": "-Q", "quiet": "-q", "remote": "-R",
        "remote-forward": "-R", "reverse": "-R", "silent": "-q", "socks": "-D", "stdio": "-W", "syslog": "-y",
        "user": "-l", "username": "-l", "verbose": "-v",
    ]
}

internal import Crypto
internal import CulvertPlan

/// Expands what ssh expands in the values of settings: `~`, `%` tokens (ssh_config(5), TOKENS) and `${VARIABLE}`.
struct PathExpansion {
    let environment: ConfigurationEnvironment
    let destination: Destination
    let hostKeyAlias: String?
    /// The last hop of ProxyJump; empty: none.
    var jumpHost = ""
    /// `%T` is a token: no interface for a tunnel device is ever there (ssh_config(5), LocalCommand).
    var hasInterface = false
    /// Tokens that are none here: what they stand for is not known yet.
    var unknown: Set<Character> = []

    /// `origin` names the setting in an error.
    func path(_ text: String, origin: String) throws(ConfigurationError) -> String {
        guard text.hasPrefix("~") else { return try tokens(text, origin: origin) }
        let (home, rest) = try environment.homeDirectories.expand(
            text, own: environment.homeDirectory, origin: origin)
        let slash = home.hasSuffix("/") ? "" : "/"
        return home + slash + (try tokens(String(rest), origin: origin))
    }

    /// `hasVariables`: `${NAME}` is expanded too; a command leaves that to its shell.
    func tokens(_ text: String, origin: String, hasVariables: Bool = true) throws(ConfigurationError) -> String {
        var expanded = ""
        var rest = Substring(text)
        while let character = rest.popFirst() {
            if character == "%" {
                guard let letter = rest.popFirst(), let value = unknown.contains(letter) ? nil : token(letter)
                else {
                    throw ConfigurationError("\(origin) \(text): unknown token after '%': write %% for the sign itself")
                }
                expanded += value
            } else if hasVariables, character == "$", rest.first == "{" {
                do {
                    expanded += try VariableExpansion.variable(from: &rest, of: text, environment.variables)
                } catch {
                    throw ConfigurationError("\(origin) \(error.message)")
                }
            } else {
                expanded.append(character)
            }
        }
        return expanded
    }

    /// Whether a command has this token.
    static func uses(_ letter: Character, in command: String) -> Bool {
        var rest = command[...]
        while let sign = rest.firstIndex(of: "%") {
            rest = rest[rest.index(after: sign)...]
            if rest.popFirst() == letter { return true }
        }
        return false
    }

    private func token(_ letter: Character) -> String? {
        switch letter {
        case "%": "%"
        case "C": connectionHash
        case "d": environment.homeDirectory
        case "h": destination.host
        case "i": String(environment.userID)
        case "j": jumpHost
        case "k": hostKeyAlias ?? destination.typedHost
        case "L": String(environment.hostName.prefix { $0 != "." })
        case "l": environment.hostName
        case "n": destination.typedHost
        case "p": String(destination.port)
        case "r": destination.user
        case "u": environment.userName
        case "T" where hasInterface: "NONE"
        default: nil
        }
    }

    /// `%C`: the hash of `%l%h%p%r`, as OpenSSH 9.2 makes it. It names files and keeps no secret.
    private var connectionHash: String {
        let text = environment.hostName + destination.host + String(destination.port) + destination.user
        return Insecure.SHA1.hash(data: Array(text.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}

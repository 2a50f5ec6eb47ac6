/// Expands what ssh expands in the paths of settings: `~`, `%` tokens (ssh_config(5), TOKENS) and `${VARIABLE}`.
struct PathExpansion {
    let environment: ConfigurationEnvironment
    let destination: Destination
    let hostKeyAlias: String?

    /// `origin` names the setting in an error.
    func path(_ text: String, origin: String) throws(ConfigurationError) -> String {
        try tilde(tokens(text, origin: origin), origin: origin)
    }

    /// A command for a shell, which expands the rest.
    func command(_ text: String, origin: String) throws(ConfigurationError) -> String {
        try tokens(text, origin: origin, hasVariables: false)
    }

    private func tilde(_ text: String, origin: String) throws(ConfigurationError) -> String {
        guard text.hasPrefix("~") else { return text }
        if text == "~" { return environment.homeDirectory }
        guard text.hasPrefix("~/") else {
            throw ConfigurationError("\(origin) \(text): the home directory of another user is not looked up: write it")
        }
        return environment.homeDirectory + text.dropFirst()
    }

    /// `hasVariables`: `${NAME}` is expanded too; a command leaves that to its shell.
    func tokens(_ text: String, origin: String, hasVariables: Bool = true) throws(ConfigurationError) -> String {
        var expanded = ""
        var rest = Substring(text)
        while let character = rest.popFirst() {
            if character == "%" {
                guard let letter = rest.popFirst(), let value = token(letter) else {
                    throw ConfigurationError("\(origin) \(text): unknown token after '%': write %% for the sign itself")
                }
                expanded += value
            } else if hasVariables, character == "$", rest.first == "{" {
                guard let close = rest.firstIndex(of: "}") else {
                    throw ConfigurationError("\(origin) \(text): '${' without '}'")
                }
                let name = String(rest[rest.index(after: rest.startIndex)..<close])
                guard let value = environment.variables[name] else {
                    throw ConfigurationError("\(origin) \(text): the environment has no variable \(name)")
                }
                expanded += value
                rest = rest[rest.index(after: close)...]
            } else {
                expanded.append(character)
            }
        }
        return expanded
    }

    private func token(_ letter: Character) -> String? {
        switch letter {
        case "%": "%"
        case "d": environment.homeDirectory
        case "h": destination.host
        case "i": String(environment.userID)
        case "k": hostKeyAlias ?? destination.typedHost
        case "L": String(environment.hostName.prefix { $0 != "." })
        case "l": environment.hostName
        case "n": destination.typedHost
        case "p": String(destination.port)
        case "r": destination.user
        case "u": environment.userName
        default: nil
        }
    }
}

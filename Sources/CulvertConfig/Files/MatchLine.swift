internal import CulvertPlan

/// `Match` and its criteria, as OpenSSH 9.2 judges them, and those that came with later versions.
struct MatchLine {
    /// What "version" is held against: the newest ssh whose files are understood.
    static let newestSSH = "OpenSSH_10.5p1"

    /// What the criteria ask about.
    struct Subject {
        /// As it was typed.
        let originalHost: String
        /// HostName if it was set, else `originalHost`; the name to connect to in the last pass.
        let host: String
        let user: String
        let port: UInt16
        let hostKeyAlias: String?
        let tag: String?
        /// What stands behind the destination, with blanks between the words; empty: nothing.
        let command: String
        /// SessionType, as `-G` prints it.
        let session: String?
        /// The last hop of ProxyJump; empty: none.
        let jumpHost: String
        let environment: ConfigurationEnvironment
        /// The second pass over the files, which "final" and "canonical" match.
        let isFinal: Bool
    }

    let subject: Subject
    let access: ConfigurationAccess
    /// "final" was asked for: the files are to be read once more.
    private(set) var wantsFinal = false

    /// Why a line is no condition.
    struct Cause: Error {
        let text: String
    }

    init(_ subject: Subject, _ access: ConfigurationAccess) {
        self.subject = subject
        self.access = access
    }

    /// Whether all criteria hold. An "exec" runs only where every criterion before it holds.
    mutating func holds(_ line: ArraySlice<UInt8>) throws(Cause) -> Bool {
        var words = LineWords(line)
        var isMatched = true
        var count = 0
        while let word = words.next(), !word.hasPrefix("#") {
            if word.isEmpty {
                if words.rest?.isEmpty == false { throw Cause(text: "an empty criterion") }
                break
            }
            let isNegated = word.hasPrefix("!")
            let name = (isNegated ? String(word.dropFirst()) : word).lowercased()
            if name == "all" {
                // "canonical all" and "final all" are allowed, and so is one criterion of another kind.
                let next = words.next() ?? ""
                guard count <= 1, next.isEmpty || next.hasPrefix("#") else {
                    throw Cause(text: "'\(word)' stands alone, or behind canonical or final")
                }
                return isMatched && !isNegated
            }
            count += 1
            let holds: Bool
            if name == "final" || name == "canonical" {
                if name == "final" { wantsFinal = true }
                holds = subject.isFinal
            } else {
                let mayBeEmpty = name == "tagged" || name == "command"
                guard let argument = words.next(), mayBeEmpty || !argument.isEmpty, !argument.hasPrefix("#") else {
                    throw Cause(text: "'\(word)' needs a value")
                }
                holds = try self.holds(name, argument, runs: isMatched, isNegated)
            }
            if holds == isNegated { isMatched = false }
        }
        guard count > 0 else { throw Cause(text: "no criterion: give for example host, or all") }
        return isMatched
    }

    private func holds(_ name: String, _ argument: String, runs: Bool, _ isNegated: Bool) throws(Cause) -> Bool {
        switch name {
        case "host": return PatternList.matchesHost(subject.host, argument)
        case "originalhost": return PatternList.matchesHost(subject.originalHost, argument)
        case "user": return PatternList.matches(subject.user, argument)
        case "localuser": return PatternList.matches(subject.environment.userName, argument)
        case "tagged": return Self.matches(orEmpty: subject.tag ?? "", argument)
        case "command": return Self.matches(orEmpty: subject.command, argument)
        case "version": return PatternList.matches(Self.newestSSH, argument)
        case "sessiontype": return PatternList.matches(sessionType, argument)
        case "localnetwork":
            do throws(NetworkList.Cause) {
                return access.addresses().contains(where: try NetworkList(argument).contains)
            } catch {
                throw Cause(text: "localnetwork \(argument): \(error.text)")
            }
        case "exec":
            let command = try expanded(argument)
            // Told as what does not end the match: it is lost already.
            return runs ? try succeeds(command) : !isNegated
        default:
            let known = [
                "host", "originalhost", "user", "localuser", "exec", "final", "all", "canonical", "tagged", "command",
                "version", "sessiontype", "localnetwork",
            ]
            let hint = NearestName.hint(for: name, among: known, otherwise: ": give \(known.listed)")
            throw Cause(text: "unknown criterion '\(name)'\(hint)")
        }
    }

    /// An empty pattern matches nothing but an empty text, which no other one matches.
    private static func matches(orEmpty text: String, _ list: String) -> Bool {
        text.isEmpty ? list.isEmpty : PatternList.matches(text, list)
    }

    /// What ssh would ask the server for.
    private var sessionType: String {
        if let session = subject.session, session != "default" { return session }
        return subject.command.isEmpty ? "shell" : "exec"
    }

    private func expanded(_ command: String) throws(Cause) -> String {
        guard UserName.mayStand(subject.user, in: command) else {
            throw Cause(text: "exec '\(command)': the user's name '\(subject.user)' has characters that a shell reads")
        }
        let alias = subject.hostKeyAlias ?? subject.host
        guard HostName.mayStand(alias: alias, in: command) else {
            throw Cause(text: "exec '\(command)': the HostKeyAlias '\(alias)' has characters that a shell reads")
        }
        do {
            return try subject.expansion.tokens(command, origin: "exec", hasVariables: false)
        } catch {
            throw Cause(text: error.message)
        }
    }

    private func succeeds(_ command: String) throws(Cause) -> Bool {
        let shell = subject.environment.variables["SHELL"] ?? "/bin/sh"
        guard let status = access.execute(command, shell) else {
            throw Cause(text: "exec '\(command)' could not be run to its end by \(shell)")
        }
        return status == 0
    }
}

extension MatchLine.Subject {
    /// Of what is known while the files are read: for "exec" and Include.
    var expansion: PathExpansion {
        let destination = Destination(host: host, typedHost: originalHost, port: port, user: user)
        return PathExpansion(
            environment: environment, destination: destination, hostKeyAlias: hostKeyAlias ?? host, jumpHost: jumpHost)
    }
}

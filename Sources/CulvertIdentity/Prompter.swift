public import CulvertSSH

/// Asks the user. Called on a login thread, which it may block until its time is over.
public protocol Prompter: Sendable {
    /// Shows the question as it stands and returns one line without its end. Nil: there is nobody to ask, or nothing
    /// was answered (end of input, a dialogue that was closed). Throws `.local` when the time is over.
    /// - Parameter echo: whether what is typed may be seen.
    /// - Parameter seconds: how long to wait for the answer.
    func ask(_ question: String, echo: Bool, seconds: Int) throws(SSHError) -> Secret?
}

/// Seconds that a question waits for its answer: as long as sshd waits for a login (LoginGraceTime).
let promptSeconds = 120

/// Who answers the questions, as ssh decides it: the terminal, a program (SSH_ASKPASS), or nobody.
enum PromptRoute: Equatable {
    case terminal
    case program(String)
    case nobody

    static let defaultProgram = "/usr/bin/ssh-askpass"

    /// ssh(1), ENVIRONMENT: a program needs a display, unless SSH_ASKPASS_REQUIRE says `force`; `prefer` takes it
    /// even where there is a terminal, `never` not even where there is none.
    static func choose(environment: [String: String], hasTerminal: Bool) -> PromptRoute {
        let hasDisplay = [environment["DISPLAY"], environment["WAYLAND_DISPLAY"]].contains { $0?.isEmpty == false }
        var allowed = hasDisplay
        var first = false
        switch environment["SSH_ASKPASS_REQUIRE"]?.lowercased() {
        case "force": (allowed, first) = (true, true)
        case "prefer": first = allowed
        case "never": allowed = false
        default: break
        }
        if hasTerminal, !first { return .terminal }
        guard allowed else { return .nobody }
        let named = environment["SSH_ASKPASS"] ?? ""
        return .program(named.isEmpty ? defaultProgram : named)
    }
}

/// Control characters out, line breaks kept: whatever a question is made of, it cannot drive the terminal.
func shownSafely(_ question: String) -> String {
    question.split(separator: "\n", omittingEmptySubsequences: false).map { PeerText(String($0)).description }
        .joined(separator: "\n")
}

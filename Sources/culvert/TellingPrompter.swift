internal import CulvertIdentity
internal import CulvertSSH

/// Says that a person is asked, before each question.
struct TellingPrompter: Prompter {
    let prompter: any Prompter
    let asks: @Sendable () -> Void

    func ask(_ question: String, echo: Bool, seconds: Int) throws(SSHError) -> Secret? {
        asks()
        return try prompter.ask(question, echo: echo, seconds: seconds)
    }
}

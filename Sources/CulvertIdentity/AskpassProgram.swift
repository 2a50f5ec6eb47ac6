internal import CulvertSSH
internal import Glibc

/// The program that asks in ssh's place (SSH_ASKPASS): the question is its argument, the answer its first line of
/// output; an exit code other than 0 means that the user declined. As execvp(3) takes it, it may be a name that is found
/// through PATH, and a script without a first line that says whose.
struct AskpassProgram {
    /// Or its name.
    let path: String
    let environment: [String: String]

    func ask(_ question: String, deadline: Deadline) throws(SSHError) -> Secret? {
        let running: LocalProgram.Running
        do throws(LocalProgram.Failure) {
            running = try LocalProgram(path: path, arguments: [question], environment: environment).start()
        } catch {
            throw failure(words(for: error.code))
        }
        defer { close(running.output) }
        var answer: Secret?
        do {
            answer = try TerminalPrompter.readLine(running.output, deadline, from: "program \(PeerText(path))")
        } catch {
            LocalProgram.end(running.process)
            throw error
        }
        // It has answered or closed its output; one that then stays must not hold the login.
        guard let status = LocalProgram.wait(running.process, until: deadline) else {
            LocalProgram.end(running.process)
            throw failure("did not end in time")
        }
        return status == 0 ? answer : nil
    }

    private func failure(_ why: String) -> SSHError {
        SSHError(.local, "SSH_ASKPASS program \(PeerText(path)): \(why)")
    }
}

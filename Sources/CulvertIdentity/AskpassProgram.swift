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
        var ends: [CInt] = [-1, -1]
        // A socket pair, because both ends are closed-on-exec from the start; pipe2(2) is not to be had here.
        guard unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw failure(words(for: errno))
        }
        defer { close(ends[0]) }
        let child: pid_t
        do {
            defer { close(ends[1]) }
            child = try start(question, output: ends[1])
        }
        var answer: Secret?
        do {
            answer = try TerminalPrompter.readLine(ends[0], deadline, from: "program \(PeerText(path))")
        } catch {
            kill(child, SIGKILL)
            _ = Self.wait(child)
            throw error
        }
        // It has answered or closed its output; one that then stays must not hold the login.
        guard let status = Self.wait(child, until: deadline) else {
            kill(child, SIGKILL)
            _ = Self.wait(child)
            throw failure("did not end in time")
        }
        return status == 0 ? answer : nil
    }

    private func start(_ question: String, output: CInt) throws(SSHError) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        // The threads here block signals and the process ignores some; the program starts with none of that.
        var none = sigset_t()
        var all = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var failed = ENOENT
        for place in places {
            var child: pid_t = 0
            var code: CInt = 0
            // What the kernel does not know how to run is the shell's.
            for words in [[place, question], ["/bin/sh", place, question]] {
                code = unsafe CStrings.with(words) { arguments in
                    unsafe CStrings.with(environment.map { "\($0)=\($1)" }) { variables in
                        unsafe posix_spawn(&child, words[0], &actions, &attributes, arguments, variables)
                    }
                }
                if code != ENOEXEC { break }
            }
            switch code {
            case 0: return child
            // Another directory may have it.
            case ENOENT, ENOTDIR: break
            case EACCES: failed = code
            default: throw failure(words(for: code))
            }
        }
        throw failure(words(for: failed))
    }

    /// Where it may be.
    private var places: [String] {
        if path.contains("/") { return [path] }
        let directories = environment["PATH"] ?? "/bin:/usr/bin"
        return directories.split(separator: ":", omittingEmptySubsequences: false).map {
            ($0.isEmpty ? "." : String($0)) + "/" + path
        }
    }

    private func failure(_ why: String) -> SSHError {
        SSHError(.local, "SSH_ASKPASS program \(PeerText(path)): \(why)")
    }

    /// The status of wait(2), 0 for a good end. Without a deadline the child has been killed.
    private static func wait(_ child: pid_t, until deadline: Deadline? = nil) -> CInt? {
        var status: CInt = 0
        while true {
            let result = unsafe waitpid(child, &status, deadline == nil ? 0 : WNOHANG)
            if result == child { return status }
            if result < 0, errno != EINTR { return -1 }
            if let deadline, deadline.isOver { return nil }
            if result == 0 { usleep(5_000) }
        }
    }
}

/// A list of C strings that ends with nil, as execve(2) wants it, for the length of a call.
enum CStrings {
    static func with<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = unsafe strings.map { unsafe strdup($0) }
        unsafe pointers.append(nil)
        defer { unsafe pointers.forEach { unsafe free($0) } }
        return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
    }
}

/// What a tunnel is there for beside its forwards, and for how long: what stands behind the destination, and `-N`.
struct TunnelUse {
    /// It ends when so much time has passed since it stood and no connection is open; nil: when it is told to.
    private(set) var stay: Duration?
    /// Without a forward it stays connected all the same, as `ssh -N` does.
    let staysWithoutForward: Bool
    private(set) var notes: [String] = []

    /// Throws for a command that the server would have to run. `host`: the destination as it was typed.
    init(_ command: [String], _ store: SettingStore, host: String) throws(ConfigurationError) {
        let runsNothing = store.plain["sessiontype"] == ["none"]
        staysWithoutForward = runsNothing || store.clearAllForwardings == true || !command.isEmpty
        guard let first = command.first else { return }
        if ["up", "check", "relay"].contains(host) {
            throw ConfigurationError("\(host) is a subcommand only as the first word: culvert \(host) …")
        }
        switch RemoteCommand(command) {
        // With -N ssh runs none either.
        case _ where runsNothing:
            notes = ["'\(command.joined(separator: " "))' after \(host) is not run, as with ssh -N"]
        case .sleep(let time): stay = time
        case .sleepForever: break
        case .other:
            throw ConfigurationError(
                "'\(first)' after \(host): culvert runs no command there: leave it out, or use ssh for it (sleep TIME is"
                    + " understood: the tunnel ends after it, once no connection is open)")
        }
    }
}

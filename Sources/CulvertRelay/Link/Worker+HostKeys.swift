internal import CulvertIO
internal import CulvertSSH

/// What a server says of its host keys, on its way to whoever keeps them and back: files, persons and signatures have a
/// thread of their own, which begins when there is something to look at.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    mutating func hostKeysOffered(_ link: LinkSlot) {
        let keys = links[link].engine.takeOfferedHostKeys()
        guard let keeper = links[link].hostKeys.begin() else { return }
        work(link) { keeper.unproved(of: keys) }
    }

    mutating func hostKeyProofAnswered(_ link: LinkSlot) {
        let proof = links[link].engine.takeHostKeyProof()
        guard let keeper = links[link].hostKeys.answered() else { return }
        work(link) {
            keeper.take(proof)
            return []
        }
    }

    /// The link may have ended meanwhile: then its server has nothing to prove any more.
    mutating func proveHostKeys(_ link: LinkSlot, _ keys: [[UInt8]]) {
        guard links.contains(link), links[link].end == nil, links[link].hostKeys.worked(asks: !keys.isEmpty) else {
            return
        }
        links[link].engine.requestHostKeyProof(of: keys)
        wake(link)
    }

    /// What is left to be proved comes back by the mailbox.
    private mutating func work(_ link: LinkSlot, _ body: @escaping @Sendable () -> [[UInt8]]) {
        let mailbox = context.mailboxes[id.number]
        do throws(IOError) {
            try Thread.start(name: "culvert-hostkeys") { mailbox.post(.proveHostKeys(link, keys: body())) }
        } catch {
            links[link].hostKeys.giveUp()
            context.journal.verbose("the server's host keys are not looked at: \(error)")
        }
    }
}

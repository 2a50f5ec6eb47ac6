internal import CulvertPlan

extension AlgorithmKind {
    /// The list to offer, best first, never empty. `preferred`: moved to the front unless the user gave an order.
    func offer(_ list: AlgorithmList?, preferred: [String] = []) throws(SSHError) -> [String] {
        guard let list else { return AlgorithmList.moved(preferred, standard) }
        do throws(AlgorithmList.Fault) {
            return try list.offer(standard: standard, known: known, preferred: preferred)
        } catch {
            let all = known.joined(separator: ",")
            let option = PeerText(list.place).description + option
            switch error {
            case .unknown(let name):
                let mend = OlderEngine.names(self).contains(name) ? "; --engine libssh2 has it" : ""
                throw SSHError(
                    .unsupported,
                    "\(option): the native engine has no \(words) \"\(PeerText(name))\"; it has \(all)\(mend)")
            case .empty:
                throw SSHError(
                    .unsupported,
                    "\(option)=\(PeerText(list.description)) leaves no \(words); the native engine has \(all)")
            }
        }
    }
}

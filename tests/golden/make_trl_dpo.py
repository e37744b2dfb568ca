"""Writes trl_dpo.json: the sigmoid loss of TRL's DPOTrainer and its gradients on given log-probabilities.

python tests/golden/make_trl_dpo.py > tests/golden/trl_dpo.json     (trl 0.24.0, torch 2.11.0, float64)
"""
import json
from types import SimpleNamespace

import torch
import trl
from trl import DPOTrainer


def trl_loss(beta, rows):
    trainer = DPOTrainer.__new__(DPOTrainer)
    trainer.accelerator = SimpleNamespace(device=torch.device("cpu"))
    trainer.reference_free = False
    trainer.f_divergence_type = "reverse_kl"
    trainer.f_divergence_params = {}
    trainer.label_smoothing = 0.0
    trainer.beta = beta
    chosen, rejected, ref_chosen, ref_rejected = (x.clone().requires_grad_() for x in rows)
    losses, chosen_rewards, rejected_rewards = trainer.dpo_loss(chosen, rejected, ref_chosen, ref_rejected)
    losses.mean().backward()
    return {
        "beta": beta,
        "chosen_logps": chosen.tolist(),
        "rejected_logps": rejected.tolist(),
        "ref_chosen_logps": ref_chosen.tolist(),
        "ref_rejected_logps": ref_rejected.tolist(),
        "losses": losses.tolist(),
        "loss": losses.mean().item(),
        "d_chosen": chosen.grad.tolist(),
        "d_rejected": rejected.grad.tolist(),
        "rewards/chosen": chosen_rewards.mean().item(),
        "rewards/rejected": rejected_rewards.mean().item(),
        "rewards/accuracies": (chosen_rewards > rejected_rewards).double().mean().item(),
        "rewards/margins": (chosen_rewards - rejected_rewards).mean().item(),
    }


def main():
    torch.manual_seed(0)
    cases = []
    for beta, size, spread in [(0.1, 1, 1.0), (0.1, 31, 5.0), (0.5, 32, 20.0), (2.0, 33, 200.0)]:
        base = -20 - 60 * torch.rand(4, size, dtype=torch.float64)
        rows = base + spread * torch.randn(4, size, dtype=torch.float64)
        cases.append(trl_loss(beta, rows))
    header = f"DPOTrainer.dpo_loss(sigmoid) of trl {trl.__version__}, float64; made by tests/golden/make_trl_dpo.py"
    print(json.dumps({"header": header, "cases": cases}))


main()

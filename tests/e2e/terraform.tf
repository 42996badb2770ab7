terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "throughput" { default = "elastic" }
variable "days" { default = "AFTER_30_DAYS" }

provider "aws" {
  region = "us-east-1"
}

data "aws_caller_identity" "me" {}

data "aws_subnets" "default" {
  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

data "aws_subnet" "each" {
  id = data.aws_subnets.default.ids[0]
}

resource "aws_security_group" "efs" {
  name        = "terraform"
  description = "mount targets"
  vpc_id      = data.aws_subnet.each.vpc_id
  ingress {
    protocol    = "tcp"
    from_port   = 2049
    to_port     = 2049
    cidr_blocks = ["127.0.0.0/8"]
  }
  tags = { Name = "terraform" }
}

resource "aws_kms_key" "key" {
  description             = "of terraform"
  deletion_window_in_days = 7
}

resource "aws_efs_file_system" "fs" {
  creation_token  = "terraform"
  encrypted       = true
  kms_key_id      = aws_kms_key.key.arn
  throughput_mode = var.throughput
  lifecycle_policy { transition_to_ia = var.days }
  lifecycle_policy { transition_to_primary_storage_class = "AFTER_1_ACCESS" }
  protection { replication_overwrite = "DISABLED" }
  tags = { Name = "terraform", Project = "QuantTradingPhase4" }
}

resource "aws_efs_mount_target" "target" {
  count           = 3
  file_system_id  = aws_efs_file_system.fs.id
  subnet_id       = sort(data.aws_subnets.default.ids)[count.index]
  security_groups = [aws_security_group.efs.id]
}

resource "aws_efs_access_point" "home" {
  file_system_id = aws_efs_file_system.fs.id
  posix_user {
    uid            = 1000
    gid            = 1000
    secondary_gids = [5]
  }
  root_directory {
    path = "/home"
    creation_info {
      owner_uid   = 1000
      owner_gid   = 1000
      permissions = "0750"
    }
  }
  tags = { team = "blue" }
}

resource "aws_efs_file_system_policy" "policy" {
  file_system_id = aws_efs_file_system.fs.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = { AWS = "*" }, Action = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"], Resource = aws_efs_file_system.fs.arn },
      { Effect = "Deny", Principal = { AWS = "*" }, Action = "*", Resource = aws_efs_file_system.fs.arn, Condition = { Bool = { "aws:SecureTransport" = "false" } } },
    ]
  })
}

resource "aws_efs_backup_policy" "backup" {
  file_system_id = aws_efs_file_system.fs.id
  backup_policy { status = "ENABLED" }
}

output "account" { value = data.aws_caller_identity.me.account_id }
output "addresses" { value = aws_efs_mount_target.target[*].ip_address }
